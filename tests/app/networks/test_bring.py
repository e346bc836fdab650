"""The page that brings a network: what the engine says is shown, what the form says is asked for."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.access.uploads import by_path, files_of, uploaded
from engine.core.errors import UserError
from tests.app.test_pages import opened, texts

FOUND = {
    "file": "x", "bytes": 1_099_231, "form": "torch", "tensors": 97, "values": 271_098,
    "dtypes": {"float32": 97}, "undone": ["taken from 'state_dict' (best left aside)"],
    "guesses": [{
        "architecture": "cifar-resnet", "title": "ResNet-20", "fits": "97 of 97 tensors fit",
        "parameters": {"depth": 20, "shortcut": "A"}, "whole": True,
        "renamed": ["'linear' is this network's 'fc'"],
    }],
    "proposal": {
        "title": "ResNet-20", "dataset": "CIFAR-10", "image_shape": [3, 32, 32], "resize": 32,
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "class_count": 3,
        "classes": ["a", "b", "c"], "reasons": ["probably CIFAR-10"],
    },
}  # fmt: skip
SAID = {
    "outputs": 3, "blocks": 11, "batchnorm_layers": 19, "notes": [],
    "accuracy": {
        "images": 1000, "of": 1000, "top1": 0.915, "band": [0.896, 0.931], "skipped": [],
        "skipped_count": 0, "same_images_top1": 0.5, "same_images_band": [0.45, 0.55],
        "others": [{"name": "CIFAR-10", "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "top1": 0.9,
                    "band": [0.87, 0.93], "images": 300}],
    },
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "net.th").write_bytes(b"tensors")
    return tmp_path / "net.th"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the page asks the engine for."""
    calls: list[Any] = []

    def said(name: str, answer: Any) -> Any:
        def function(*given: Any, **more: Any) -> Any:
            calls.append((name, *given))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return function

    monkeypatch.setattr("engine.run.networks.inspect", said("inspect", FOUND))
    monkeypatch.setattr("engine.run.networks.try_out", said("try_out", SAID))
    monkeypatch.setattr("engine.run.networks.save", said("save", {"name": "mine/x"}))
    return calls


def with_file(file: Path) -> AppTest:
    at = opened("bring")
    at.text_input(key="bring-path").set_value(str(file)).run()
    at.button(key="bring-files-look").click().run()
    assert not at.exception, at.exception[0].stack_trace
    return at


def field(at: AppTest, start: str) -> Any:
    return next(one for one in at.text_input if str(one.key).startswith(start))


def test_what_was_found_is_said_and_the_form_is_filled_in(
    runs: Path, file: Path, asked: list[Any]
) -> None:
    at = with_file(file)
    text = texts(at)
    assert "97 of 97 tensors fit" in at.success[0].value
    assert "taken from 'state_dict'" in text
    assert "**guesses**: probably CIFAR-10" in text
    assert field(at, "bring-mean").value == "0.485, 0.456, 0.406"
    at.run()
    assert [call[0] for call in asked] == ["inspect"]  # once for a file


def test_a_trial_shows_the_accuracy_and_a_better_input_space_can_be_taken(
    runs: Path, file: Path, asked: list[Any]
) -> None:
    at = with_file(file)
    field(at, "bring-std").set_value("0.2 0.2 0.2").run()
    at.button(key="bring-try").click().run()
    brought = asked[-1][1]
    assert (brought.weights, brought.std) == (str(file), (0.2, 0.2, 0.2))
    assert at.metric[0].value == "91.50\u00a0%"
    assert "it was probably trained with those" in texts(at)
    at.button(key="bring-take").click().run()
    assert field(at, "bring-mean").value == "0.5, 0.5, 0.5"
    assert "The form has changed since" in texts(at)


def test_a_trial_shows_what_speaks_against_the_labels_and_names_of_folders_as_they_are(
    runs: Path, file: Path, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {
        "title": "Labels",
        "message": "Right on 0 of 9 of ![x](http://y)",
        "advice": "Subtract 1.",
    }
    judged = SAID["accuracy"] | {"labels": [found], "notes": ["class folder '*a*' says nothing"]}
    monkeypatch.setattr("engine.run.networks.try_out", lambda *a: SAID | {"accuracy": judged})
    at = with_file(file)
    at.button(key="bring-try").click().run()
    assert "Subtract 1." in texts(at)
    assert r"!\[x\](http://y)" in at.warning[0].value
    assert r"\*a\*" in at.info[0].value


def test_saving_asks_for_what_the_form_says(runs: Path, file: Path, asked: list[Any]) -> None:
    at = with_file(file)
    field(at, "bring-name").set_value("my-net").run()
    at.button(key="bring-save").click().run()
    name, said, brought, folder = asked[-1]
    assert (name, said, folder) == ("save", "my-net", runs)
    assert brought.parameters == {"depth": 20, "shortcut": "A"}


@pytest.mark.parametrize(("field_name", "value", "said"), [
    ("bring-mean", "0.5, x", "Pixel mean is '0.5, x'"),
    ("bring-classes", "a, b", "2 class names are given, the network tells 3"),
])  # fmt: skip
def test_a_mistake_in_the_form_is_said(
    runs: Path, file: Path, asked: list[Any], field_name: str, value: str, said: str
) -> None:
    at = with_file(file)
    field(at, field_name).set_value(value).run()
    assert said in at.error[0].value
    assert not [one for one in at.button if one.key == "bring-save"]


def test_a_file_that_is_none_is_explained(
    runs: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise UserError("weights file net.th cannot be read: it is empty")

    monkeypatch.setattr("engine.run.networks.inspect", refuse)
    assert "it is empty" in with_file(file).error[0].value
    at = opened("bring")
    at.text_input(key="bring-path").set_value("/nowhere/net.th").run()
    assert "/nowhere/net.th cannot be read" in at.error[0].value


class Upload:
    name = "../../etc/pass wd.pth"
    file_id = "7"

    def getbuffer(self) -> memoryview:
        return memoryview(b"tensors")


def test_an_upload_is_a_private_copy_with_a_plain_name_and_gone_afterwards(tmp_path: Path) -> None:
    source = uploaded(Upload())
    seen: list[Path] = []

    def look() -> None:
        with source.file() as path:
            seen.append(path)
            assert path.read_bytes() == b"tensors"
            assert path.parent.stat().st_mode & 0o077 == 0
            raise UserError(f"{path} is broken")

    with pytest.raises(UserError, match=r"^pass-wd\.pth is broken$"):
        look()
    assert not seen[0].parent.exists()
    with files_of(source, by_path(str(tmp_path)), None) as paths:
        assert paths[1:] == [str(tmp_path), ""]
