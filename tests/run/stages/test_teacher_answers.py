"""The teacher's answers, kept: read only where they are its answers to these very images."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from engine.run.stages.judging import teacher_answers
from engine.run.stages.judging.teacher_answers import TeacherAnswers


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.fixture
def images():
    return torch.randn(10, 3, generator=torch.Generator().manual_seed(0))


def context(network, tmp_path, **settings):
    recipe = SimpleNamespace(model="net", model_settings=settings, contents={})
    folder = SimpleNamespace(path=tmp_path / "run")
    return SimpleNamespace(
        teacher=network, recipe=recipe, folder=folder, output=SimpleNamespace(kind="logits")
    )


@torch.no_grad()
def judged(known, network, images, size=4):
    """The answers, and how many batches the network itself answered."""
    asked = []

    def answer(batch):
        asked.append(len(batch))
        return network(batch)

    given = [known.of(part, lambda part=part: answer(part)) for part in images.split(size)]
    known.keep()
    return torch.cat(given), len(asked)


def test_a_second_judge_reads_all_but_the_first_batch(network, images, tmp_path):
    first, asked = judged(TeacherAnswers(context(network, tmp_path)), network, images)
    assert asked == 3
    again, asked = judged(TeacherAnswers(context(network, tmp_path)), network, images)
    assert torch.equal(first, again)
    assert asked == 1


def changed_weight(network, images):
    network.weight.data[0, 0] += 1e-6


def changed_pixel(network, images):
    images[9, 2] += 1e-6


def other_arithmetic(network, images):
    """As on another machine, or with more threads."""
    network.register_forward_hook(lambda _module, _args, out: out * (1 + 1e-6))


def no_change(network, images):
    """Asked for in batches of another size below."""


@pytest.mark.parametrize(
    ("change", "size", "asked"),
    [(changed_weight, 4, 3), (changed_pixel, 4, 2), (other_arithmetic, 4, 3), (no_change, 3, 4)],
)
def test_what_may_differ_is_answered_anew(network, images, tmp_path, change, size, asked):
    judged(TeacherAnswers(context(network, tmp_path)), network, images)
    change(network, images)
    given, times = judged(TeacherAnswers(context(network, tmp_path)), network, images, size)
    assert times == asked
    with torch.no_grad():
        assert torch.equal(given, torch.cat([network(part) for part in images.split(size)]))


def test_other_settings_of_the_network_have_other_answers(network, images, tmp_path):
    judged(TeacherAnswers(context(network, tmp_path)), network, images)
    other = TeacherAnswers(context(network, tmp_path, output="scores"))
    assert judged(other, network, images)[1] == 3


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 64, None])
def test_a_damaged_file_is_made_again(network, images, tmp_path, content):
    judged(TeacherAnswers(context(network, tmp_path)), network, images)
    (file,) = (tmp_path / teacher_answers.FOLDER).iterdir()
    data = file.read_bytes()
    file.write_bytes(data[: len(data) - 9] if content is None else content)
    assert judged(TeacherAnswers(context(network, tmp_path)), network, images)[1] == 3
    assert file.read_bytes() == data


def test_answers_as_large_as_images_are_not_kept(network, images, tmp_path, monkeypatch):
    monkeypatch.setattr(teacher_answers, "MOST_BYTES", 30)
    judged(TeacherAnswers(context(network, tmp_path)), network, images)
    assert not (tmp_path / teacher_answers.FOLDER).exists()


def test_the_oldest_files_go(network, images, tmp_path, monkeypatch):
    monkeypatch.setattr(teacher_answers, "KEPT", 2)
    for k in range(4):
        judged(TeacherAnswers(context(network, tmp_path, k=k)), network, images)
    assert len(list((tmp_path / teacher_answers.FOLDER).iterdir())) == 2
