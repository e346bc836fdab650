"""Checkpoints as training scripts leave them: nothing is executed, and what is left out is told."""

import argparse
import collections
import contextlib
import datetime
import pathlib
import pickle
import pickletools
import types
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from engine.core.errors import UserError
from engine.models.cards.sources import discover_cards
from engine.models.checkpoints.fit import fill, match, shapes
from engine.models.checkpoints.read import read_checkpoint
from engine.models.checkpoints.reparametrised import baked
from engine.run.networks.understand import inspect_file

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "b.bias": torch.ones(2)}


class Settings(dict):
    """A dictionary of somebody's library, with attributes of its own."""

    def __init__(self, **values):
        super().__init__(values)
        self.frozen = True


class Items(list):
    pass


class Anything:
    def __init__(self):
        self.rate = 0.1


def same(read, wanted=STATE):
    return read.keys() == wanted.keys() and all(torch.equal(read[k], wanted[k]) for k in wanted)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("beside", [
    np.arange(5.0), np.float32(0.9), np.int64(3), pathlib.PurePosixPath("/x"), {1, 2},
    argparse.Namespace(out=pathlib.PurePosixPath("/x"), lr=0.1), datetime.datetime(2026, 1, 2),
    collections.defaultdict(list, a=[1]), collections.Counter("aab"), collections.deque([1, 2]),
    Settings(lr=0.1), Items([1, 2]), Anything(), [Anything(), {"deep": Settings(x=Items())}],
    types.SimpleNamespace(a=1), slice(1, 2), complex(1, 2), torch.device("cpu"), torch.float32,
], ids=lambda value: type(value).__name__)  # fmt: skip
def test_what_lies_beside_the_weights_is_left_aside(tmp_path, beside, old):
    torch.save({"state_dict": STATE, "more": beside}, tmp_path / "w.pth",
               _use_new_zipfile_serialization=not old)  # fmt: skip
    read = read_checkpoint(tmp_path / "w.pth")
    assert same(read.tensors)
    assert read.undone == ("taken from 'state_dict' (more left aside)",)


@pytest.mark.parametrize("wrap", [
    lambda s: (s, 3), lambda s: [s, {"lr": 1}], lambda s: {"checkpoint": {"network": {"state": s}}},
    lambda s: {"decay": 0.9, "shadow": s}, lambda s: {"model": collections.defaultdict(int, s)},
    lambda s: {"model": Settings(**{}) | s},
])  # fmt: skip
def test_weights_are_found_however_they_are_wrapped(tmp_path, wrap):
    torch.save(wrap(STATE), tmp_path / "w.pth")
    assert same(read_checkpoint(tmp_path / "w.pth").tensors)


def test_several_networks_in_one_file_are_named_and_the_way_out_works(tmp_path):
    file = tmp_path / "w.pth"
    torch.save({"student": STATE, "teacher": STATE}, file)
    with pytest.raises(UserError, match=r"'student', 'teacher'\); save the one you mean"):
        read_checkpoint(file)
    torch.save(torch.load(file, weights_only=True)["student"], tmp_path / "one.pth")
    assert same(read_checkpoint(tmp_path / "one.pth").tensors)


# --- nothing is executed, and nothing takes for ever ----------------------------------------------


class Trap:
    """Calls a function with arguments as soon as it is loaded."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


class Touch:
    """As a class with a state, which an instance is given by code of its own."""

    def __init__(self, path):
        self.path = path

    def __setstate__(self, state):
        pathlib.Path(state["path"]).touch()


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
def test_code_beside_the_weights_is_never_executed(tmp_path, old):
    touched = tmp_path / "touched"
    traps = [
        Trap(pathlib.Path.touch, touched), Trap(eval, f"open({str(touched)!r}, 'w')"), Touch(touched),
        Trap(exec, f"open({str(touched)!r}, 'w')"), Trap(np.save, str(touched), 3),
        Trap(torch.save, 3, str(touched)), Trap(torch.hub.load_state_dict_from_url, "file:///x"),
    ]  # fmt: skip
    for trap in traps:
        torch.save({"state_dict": STATE, "trap": trap}, tmp_path / "w.pth",
                   _use_new_zipfile_serialization=not old)  # fmt: skip
        with contextlib.suppress(UserError):
            assert same(read_checkpoint(tmp_path / "w.pth").tensors)
        assert not touched.exists()


def nested(levels, width=2):
    """A pickle of few bytes whose key takes width ** levels steps to hash."""
    body = [b"\x80\x02}", b"K\x01"]
    again = [b"h" + bytes([k]) for k in range(levels)]
    body += [b"q" + bytes([k]) + b"0(" + width * again[k] + b"t" for k in range(levels)]
    return b"".join([*body, b"K\x02s."])


@pytest.mark.parametrize("form", [(60, 2), (9, 40)], ids=["deep", "wide"])
@pytest.mark.parametrize("in_zip", [True, False])
def test_a_small_file_cannot_keep_a_core_busy(tmp_path, in_zip, form):
    file = tmp_path / "w.pth"
    if in_zip:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("net/data.pkl", nested(*form))
            archive.writestr("net/version", b"3\n")
    else:
        heads = [pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, {})]
        file.write_bytes(b"".join([*heads, nested(*form)]))
    assert file.stat().st_size < 2000
    with pytest.raises(UserError, match="nests tuples so deeply"):
        read_checkpoint(file)


def test_dictionaries_that_hold_one_another_come_to_an_end(tmp_path):
    circle = {}
    circle["me"] = circle
    torch.save({"a": circle, "b": circle}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="no dictionary of tensors"):
        read_checkpoint(tmp_path / "w.pth")


def test_the_nested_pickle_is_a_real_one():
    key = next(iter(pickle.loads(nested(3))))
    assert key == (((1, 1), (1, 1)), ((1, 1), (1, 1)))
    assert len(list(pickletools.genops(nested(3)))) > 10


# --- names ------------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn, self.fc = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3)


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net()


def loaded(tmp_path, state, model=None):
    """(the network's tensors after the file was filled in, notes)."""
    torch.save(state, tmp_path / "w.pth")
    model = model or Net()
    notes = fill(model, read_checkpoint(tmp_path / "w.pth"), "net")
    return model.state_dict(), notes


def prefixed(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize("change", [
    lambda s: prefixed("model.", s), lambda s: prefixed("model.module.", s),
    lambda s: prefixed("module.model.", s),
    lambda s: {("head." if n.startswith("fc") else "backbone.") + n: t for n, t in s.items()},
    lambda s: prefixed("model.", s) | {"criterion.weight": torch.ones(3)},
    lambda s: prefixed("net.", s) | {"train_acc.tp": torch.zeros(3), "val_acc.tp": torch.zeros(3)},
    lambda s: prefixed("model.", s) | prefixed("ema_model.module.", {n: t + 1 for n, t in s.items()}),
    lambda s: prefixed("1.", s) | {"0.mean": torch.zeros(1), "0.std": torch.ones(1)},
    lambda s: s | {"aux_head.weight": torch.ones(3, 2), "aux_head.bias": torch.ones(3)},
    lambda s: {n.replace("fc.", "model.head.") if n.startswith("fc") else f"model.{n}": t
               for n, t in s.items()},
])  # fmt: skip
def test_names_are_understood_and_extra_ones_are_reported(tmp_path, change):
    wanted = Net().state_dict()
    changed = change(wanted)
    state, notes = loaded(tmp_path, changed)
    assert same(state, wanted)
    extra = [n for n in changed if n.startswith(("criterion", "train", "ema", "0.", "aux"))]
    assert bool(extra) == any(f"no place for {extra[0]}" in note for note in notes if extra)


def test_a_network_inside_a_wrapper_is_filled_too(tmp_path):
    wanted = Net().state_dict()
    state, notes = loaded(tmp_path, wanted, Wrapped())
    assert same(state, prefixed("net.", wanted))
    assert notes == ("prefix 'net.' put before",)


def test_the_weights_of_a_deeper_network_are_not_taken_for_it():
    wanted = {"layer1.0.weight": [2], "fc.weight": [3, 2]}
    deeper = wanted | {"layer1.1.weight": [2]}
    assert not match(wanted, deeper).enough
    assert not match({"0.weight": [2]}, {"0.weight": [2], "3.weight": [2]}).enough
    assert match(wanted, wanted | {"auxiliary.weight": [2]}).enough


@pytest.mark.parametrize("kind", ["pruned", "weight norm", "weight norm, older"])
def test_weights_in_parts_are_put_together(tmp_path, kind):
    model, plain = Net(), Net()
    if kind == "pruned":
        nn.utils.prune.l1_unstructured(model.conv1, "weight", 0.5)
    elif kind == "weight norm":
        nn.utils.parametrizations.weight_norm(model.conv1)
    else:
        torch.nn.utils.weight_norm(model.conv1)
    for pre_hook in model.conv1._forward_pre_hooks.values():
        pre_hook(model.conv1, ())
    state, notes = loaded(tmp_path, model.state_dict(), plain)
    torch.testing.assert_close(state["conv1.weight"], model.conv1.weight.detach())
    assert any("put together" in note for note in notes)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    whole = shapes(baked(read_checkpoint(tmp_path / "w.pth")).tensors)
    assert whole.keys() == plain.state_dict().keys()


def test_codes_without_a_scale_are_no_weights(tmp_path):
    state = Net().state_dict()
    state["fc.weight"] = (state["fc.weight"] * 10).to(torch.int8)
    with pytest.raises(UserError, match=r"'fc\.weight' as int8"):
        loaded(tmp_path, state)


def test_inspect_names_the_next_step(tmp_path):
    torch.save(Net().state_dict(), tmp_path / "w.pth")
    assert (
        f"--model FILE.py:FACTORY --weights {tmp_path / 'w.pth'}"
        in inspect_file(tmp_path / "w.pth")["next"]
    )
    weights = discover_cards()["resnet20-fashion"].weights()
    assert "save-network NAME" in inspect_file(weights)["next"]
