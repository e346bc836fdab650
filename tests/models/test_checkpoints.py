"""A weights file is data: whatever it is, nothing in it runs, and what is wrong is said in one line."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.core.errors import UserError
from engine.models.card import ModelCard, discover_cards, read_checkpoint
from tests.contracts.nets import TinyResNet, ready

STATE = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}


class Malicious:
    """Pickled, it touches a file as soon as it is loaded."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self):
        return Path.touch, (self._target,)


def same(read, wanted=STATE):
    return read.keys() == wanted.keys() and all(torch.equal(read[k], wanted[k]) for k in wanted)


@pytest.fixture
def card():
    """TinyResNet's card, with nothing but the architecture."""
    base = discover_cards()["resnet20-fashion"]
    assert isinstance(base, ModelCard)
    return replace(base, name="tiny", build=TinyResNet)


@pytest.mark.parametrize("write", ["pickle", "torch", "torch, old format"])
def test_code_in_a_checkpoint_is_never_run(tmp_path, write):
    target, file = tmp_path / "touched", tmp_path / "weights.pth"
    trap = {"state_dict": Malicious(target)}
    if write == "pickle":
        file.write_bytes(pickle.dumps(trap))
    else:
        torch.save(trap, file, _use_new_zipfile_serialization="old" not in write)
    with pytest.raises(UserError, match=r"weights\.pth cannot be read"):
        read_checkpoint(file)
    assert not target.exists()

    if write == "pickle":  # the trap is a real one
        pickle.loads(file.read_bytes())
        assert target.exists()


@pytest.mark.parametrize("wrap", [
    lambda s: s,
    lambda s: {"state_dict": s},
    lambda s: {"model": s, "epoch": 3},
    lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}},
])  # fmt: skip
def test_the_usual_wrappings_are_undone(tmp_path, wrap):
    torch.save(wrap(STATE), tmp_path / "w.pth")
    assert same(read_checkpoint(tmp_path / "w.pth"))


def test_safetensors_are_read(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    assert same(read_checkpoint(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"just a text", b"\x80\x04garbage", b"PK\x03\x04 torn"])
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match="cannot be read") as caught:
        read_checkpoint(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [torch.ones(3), {}, {"a": 3}, [1, 2], {"state_dict": {"a": "b"}}]
)
def test_a_file_without_tensors_by_name_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(UserError, match="no dictionary of tensors"):
        read_checkpoint(tmp_path / "w.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.pth is not there"):
        read_checkpoint(tmp_path / "absent.pth")


def test_a_file_too_large_to_be_a_network_is_not_opened(tmp_path):
    with (tmp_path / "w.pth").open("wb") as file:
        os.truncate(file.fileno(), 4 * 2**30 + 1)  # sparse: takes no room
    with pytest.raises(UserError, match="larger than 4 GiB"):
        read_checkpoint(tmp_path / "w.pth")


def test_the_users_weights_are_loaded(tmp_path, card):
    model = ready(TinyResNet(), seed=5)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    loaded = card.load(tmp_path / "w.pth")
    assert same(loaded.state_dict(), model.state_dict())
    assert not loaded.training


@pytest.mark.parametrize("change", ["shape", "missing", "unknown"])
def test_the_weights_of_another_architecture_are_refused(tmp_path, card, change):
    state = TinyResNet().state_dict()
    if change == "shape":
        state["head.2.weight"] = torch.zeros(5, 6)
    elif change == "missing":
        del state["head.2.weight"]
    else:
        state["tail.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "w.pth")
    named = "tail.weight" if change == "unknown" else "head.2.weight"
    with pytest.raises(UserError, match=f"does not fit tiny.*{named}"):
        card.load(tmp_path / "w.pth")


def test_weights_without_counters_of_batches_are_complete(tmp_path, card):
    state = TinyResNet().state_dict()
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "w.pth")
    card.load(tmp_path / "w.pth")
