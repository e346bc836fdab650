"""A weights file is data: whatever it is, nothing in it runs, and what is wrong is said in one line."""

import os
import pickle
import tarfile
import zipfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.core.errors import UserError
from engine.models.card import ModelCard
from engine.models.cards.sources import discover_cards
from engine.models.checkpoints import read as checkpoints
from engine.models.checkpoints.fit import match
from engine.models.checkpoints.read import read_checkpoint
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
    with pytest.raises(UserError, match=r"weights\.pth cannot be read: it (is|holds)") as caught:
        read_checkpoint(file)
    assert ("holds code (getattr), which is never executed" in str(caught.value)) == (
        write != "pickle"
    )
    assert not target.exists()

    if write == "pickle":  # the trap is a real one
        pickle.loads(file.read_bytes())
        assert target.exists()


@pytest.mark.parametrize(("wrap", "said"), [
    (lambda s: s, []),
    (lambda s: {"state_dict": s}, ["taken from 'state_dict'"]),
    (lambda s: {"model": s, "epoch": 3}, ["taken from 'model' (epoch left aside)"]),
    (lambda s: {"net": s, "ema": {"a": s["a"]}}, ["taken from 'net' (ema left aside)"]),
    (lambda s: {"ema": {"n_averaged": torch.tensor(2), **s}},
     ["taken from 'ema'", "left aside: n_averaged"]),
    (lambda s: {"what_nobody_else_says": s, "optimizer": {"lr": 0.1}},
     ["taken from 'what_nobody_else_says' (optimizer left aside)"]),
    (lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}, "queue": s["a"]},
     ["taken from 'state_dict' (queue left aside)", "prefix 'module.' taken off"]),
    (lambda s: {f"_orig_mod.module.{k}": v for k, v in s.items()},
     ["prefix '_orig_mod.' taken off", "prefix 'module.' taken off"]),
    (lambda s: {"state_dict": s, "best": np.float64(0.9), "args": Namespace(lr=0.1)},
     ["taken from 'state_dict' (best, args left aside)"]),
])  # fmt: skip
def test_the_usual_wrappings_are_undone_and_told(tmp_path, wrap, said):
    torch.save(wrap(STATE), tmp_path / "w.pth")
    read = read_checkpoint(tmp_path / "w.pth")
    assert same(read.tensors)
    assert sorted(read.undone) == sorted(said)


def test_safetensors_are_read_whatever_the_file_is_called(tmp_path):
    save_file(STATE, tmp_path / "w.pth")
    read = read_checkpoint(tmp_path / "w.pth")
    assert same(read.tensors)
    assert (read.form, read.undone, read.parameters) == ("safetensors", (), 7)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"just a text", b"\x80\x04garbage", b"PK\x03\x04 torn"])
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match="cannot be read") as caught:
        read_checkpoint(tmp_path / name)
    assert "\n" not in str(caught.value)


def torn(tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "w.pth")
    return (tmp_path / "w.pth").read_bytes()[:2000]


def old_tar(tmp_path):
    with tarfile.open(tmp_path / "w.pth", "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name))
    return (tmp_path / "w.pth").read_bytes()


def torchscript(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        for name in ("constants.pkl", "data.pkl", "code/__torch__.py"):
            archive.writestr(f"net/{name}", b"")
    return (tmp_path / "w.pth").read_bytes()


def whole_module(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    return (tmp_path / "w.pth").read_bytes()


def bomb(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/data/0", bytes(10_000_000))
    return (tmp_path / "w.pth").read_bytes()


@pytest.mark.parametrize(("make", "said"), [
    (lambda _: (10 * 2**30).to_bytes(8, "little") + b'{"a":1}', "claims 10,737,418,240 bytes"),
    (lambda _: (200).to_bytes(8, "little") + b'{"a":', "the file has 13"),
    (torn, "is a torn PyTorch file"),
    (old_tar, "tar archive"),
    (torchscript, r"TorchScript archive, which holds code; save torch.jit.load\(FILE\)"),
    (whole_module, r"holds code \(torch.nn.modules.linear.Linear\), which is never executed"),
    (bomb, "unpack to 10,000,000"),
    (lambda _: b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
    (lambda _: b"<!DOCTYPE html><html>", "web page"),
    (lambda _: b"the weights are fine", "it is no safetensors or PyTorch file"),
    (lambda _: b"", "it is empty"),
])  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, make, said):
    file = tmp_path / "weights.pth"
    file.write_bytes(make(tmp_path))
    with pytest.raises(UserError, match=said) as caught:
        read_checkpoint(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_pickle_that_asks_for_much_memory_is_refused(tmp_path, monkeypatch):
    def load(*_args, **_kwargs):
        raise MemoryError

    monkeypatch.setattr(checkpoints, "_load", load)
    torch.save(STATE, tmp_path / "w.pth")
    with pytest.raises(UserError, match="more memory than there is"):
        read_checkpoint(tmp_path / "w.pth")


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


@pytest.mark.parametrize("change", ["shape", "missing", "deeper"])
def test_the_weights_of_another_architecture_are_refused(tmp_path, card, change):
    state = TinyResNet().state_dict()
    if change == "shape":
        state["head.2.weight"] = torch.zeros(5, 6)
    elif change == "missing":
        del state["head.2.weight"]
    else:
        state["head.7.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "w.pth")
    named = "head.7.weight" if change == "deeper" else "head.2.weight"
    with pytest.raises(UserError, match=f"does not fit tiny.*{named}"):
        card.load(tmp_path / "w.pth")


def test_weights_without_counters_of_batches_are_complete(tmp_path, card):
    state = TinyResNet().state_dict()
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "w.pth")
    card.load(tmp_path / "w.pth")


def test_another_name_of_the_head_or_of_the_whole_is_understood(tmp_path, card):
    state = ready(TinyResNet(), seed=5).state_dict()
    torch.save({f"backbone.{name}": tensor for name, tensor in state.items()}, tmp_path / "w.pth")
    model, notes = card.load_noted(tmp_path / "w.pth")
    assert same(model.state_dict(), state)
    assert notes == ("prefix 'backbone.' taken off",)

    fit = match({"a": [1], "fc.weight": [2, 3]}, {"a": [1], "linear.weight": [2, 3]})
    assert fit.whole
    assert fit.names == {"a": "a", "fc.weight": "linear.weight"}
    assert fit.notes == ("'linear' is this network's 'fc'",)


def test_half_precision_is_computed_in_full_and_said(tmp_path, card):
    state = {
        k: v.half() if v.is_floating_point() else v for k, v in TinyResNet().state_dict().items()
    }
    torch.save(state, tmp_path / "w.pth")
    model, notes = card.load_noted(tmp_path / "w.pth")
    assert notes == ("stored as float16, computed in float32",)
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_another_number_of_classes_is_named(tmp_path, card):
    state = TinyResNet().state_dict()
    classes, features = state["head.2.weight"].shape
    state["head.2.weight"] = torch.zeros(classes + 5, features)
    torch.save(state, tmp_path / "w.pth")
    said = f"classes do not match the head .*has {classes + 5} classes in the file, {classes} in"
    with pytest.raises(UserError, match=said):
        card.load(tmp_path / "w.pth")


def test_weights_that_are_no_numbers_are_refused(tmp_path, card):
    state = TinyResNet().state_dict()
    state["head.2.weight"][0, 0] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"'head\.2\.weight' that are no numbers"):
        card.load(tmp_path / "w.pth")
