"""Bundled networks run in this process on few images, and faults planted into them."""

import shutil

import torch
from safetensors.torch import load_file, save_file

from engine.data.idx import read_idx, write_idx
from engine.models.card import ASSETS
from engine.models.cards.sources import discover_cards
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor import answers
from engine.run.questions.doctor.doctor import doctor
from engine.run.recipes.recipe import Recipe
from tests.run.toy_runs import work

TESTED = 32  # images to judge with
SEEN = {"activation_range": "min-max", "weight_range": "min-max"}  # no search
CALIBRATED = 32
_TEST = "fashion-mnist/t10k"


def few_test_images(folder, count=TESTED):
    """A folder of the first test images, in MNIST's own files."""
    for part in ("images-idx3", "labels-idx1"):
        whole = read_idx(ASSETS / f"{_TEST}-{part}-ubyte.gz")
        write_idx(folder / f"t10k-{part}-ubyte.gz", whole[:count])
    return folder


def finished(runs, data, model, *, bits=8, quantization="nearest", settings=None, **more):
    """A run on real images, worked through here; ranges are what is seen: no search."""
    runs.mkdir(exist_ok=True)
    recipe = Recipe(
        model=model, synthesis="real", quantization=quantization, weight_bits=bits, activation_bits=bits,
        images=CALIBRATED, data=str(data),
        quantization_settings=SEEN | (settings or {}), **more,
    )  # fmt: skip
    return worked(recipe, runs)


def worked(recipe, runs):
    """The recipe's run, worked through here."""
    folder = RunFolder.create(runs, recipe)
    work(folder)
    return folder


def copied(folder, runs):
    """The run once more in a folder of its own, to plant a fault into."""
    shutil.copytree(folder.path, runs / folder.run_id)
    return RunFolder.open(runs, folder.run_id)


def again(folder, *, forget=()):
    """Quantize and judge once more from what lies in the folder, these files forgotten."""
    for name in ("result.json", *forget):
        for file in folder.path.glob(name):
            file.unlink()
    work(folder)


def asked(folder, attempt="", layer=""):
    """The doctor's answer, found in this process, as is what is tried."""
    return answers.doctor(folder, attempt, layer, find=lambda: doctor(folder), work=worked)


def first_two(found):
    return [(one["rule"], one["layer"]) for one in found["findings"][:2]]


def checkpoint(model, file, change):
    """A bundled network's weights, changed and saved."""
    state = load_file(discover_cards()[model].weights())
    change(state)
    save_file({name: value.contiguous() for name, value in state.items()}, file)
    return str(file)


def in_file(file, change):
    """Change the tensors of a file in place."""
    state = load_file(file)
    state = {name: value.clone() for name, value in state.items()}
    change(state)
    save_file(state, file)


def shuffled_codes(state):
    """Every layer's output channels with the codes of others."""
    rng = torch.Generator().manual_seed(0)
    for name, codes in state.items():
        if name.endswith(".weight.codes"):
            codes.copy_(codes[torch.randperm(len(codes), generator=rng)])


def block_file(folder, layer):
    """The file of the block that has the layer's own grid for its input."""
    key = f"{layer}.input.scale"
    (found,) = [f for f in folder.path.glob("blocks/*.safetensors") if key in load_file(f)]
    return found, key


def scaled_channel(norm, reader, channel, factor):
    """One channel scaled behind its BatchNorm, and what reads it by the inverse: the same network."""

    def change(state):
        for name in ("weight", "bias"):
            state[f"{norm}.{name}"] = state[f"{norm}.{name}"].clone()
            state[f"{norm}.{name}"][channel] *= factor
        weight = state[f"{reader}.weight"].clone()
        weight[:, channel] /= factor
        state[f"{reader}.weight"] = weight

    return change


def still_variance(norm, channel):
    """The stored variance of one channel next to zero."""

    def change(state):
        variance = state[f"{norm}.running_var"].clone()
        variance[channel] = 1e-9
        state[f"{norm}.running_var"] = variance

    return change


def top(images, share, factor):
    """Every so many images so many times as bright."""
    step = round(1 / share)
    scale = torch.ones(len(images))
    scale[step // 4 :: step] = factor
    return images * scale.view(-1, 1, 1, 1)
