"""The steps through a block: how many columns each rounds, what is told of them, and going on from a file."""

from io import BytesIO

import pytest
import torch

from engine.quantization import discover_methods
from engine.quantization.grids.level_sets import nearest_codes
from tests.contracts.nets import budget, quantizing

METHODS = discover_methods()


def opened(name="gpfq", block="down", **changes):
    """(the student, the machine of one block), the blocks before it as they are after fitting."""
    work = quantizing(weight_bits=2)
    cls = METHODS[name]
    method = cls(budget(cls.Settings, **changes))
    found = next(m for m in work.machines(method) if m.block.name == block)
    return work.student, found


@pytest.mark.parametrize(
    ("name", "steps"),
    [("gpfq", 1), ("gpfq", 3), ("gpfq", 7), ("gpfq", 50), ("gpfq", 200), ("hessian", 94)],
)
def test_each_step_rounds_an_equal_share_of_the_block_s_columns(name, steps):
    student, found = opened(name, steps=steps)
    widths = [student.get_submodule(path).float_weight[0].numel() for path in found.block.layers]
    columns = [(layer, column) for layer, width in enumerate(widths) for column in range(width)]
    assert len(columns) == 94, "so that each of as many steps takes one"
    machine = found.machine
    assert machine.total_steps == steps
    for step in range(steps):
        told = machine.step()
        path = machine.path()
        done = list(zip(path["layer"].int().tolist(), path["column"].int().tolist(), strict=True))
        assert done == columns[: len(columns) * (step + 1) // steps]
        assert float(told["error"]) == pytest.approx(float(path["error"][-1]) if done else 0.0)


def test_what_is_told_of_a_layer_is_its_error_on_its_patches_and_on_images_kept_back():
    _, found = opened(steps=1)
    machine, kept = found.machine, []
    policy = machine._policy
    machine._policy = lambda problem: kept.append(policy(problem)) or kept[-1]
    machine.step()
    p, values = kept[-1].problem, kept[-1].values()

    def error(x, seen):
        return pytest.approx(float((p.weight @ x - values @ seen).norm() / (p.weight @ x).norm()))

    assert machine.values() == {
        "error_seen": error(p.x_teacher, p.x_student),
        "error_held_out": error(p.held_teacher, p.held_student),
    }


def test_the_share_of_flipped_codes_is_that_of_all_codes_of_the_block():
    student, found = opened(steps=4)
    assert found.machine.flipped() == 0
    for _ in range(4):
        found.machine.step()
    away = count = 0
    for path in found.block.layers:
        layer = student.get_submodule(path)
        codes = layer.weight_quantizer.codes.flatten(1)
        near = nearest_codes(layer.float_weight.flatten(1), layer.weight_quantizer.levels())
        away, count = away + int((codes != near).sum()), count + codes.numel()
    assert 0 < away < count
    assert found.machine.flipped() == pytest.approx(
        away / count, abs=0.002
    )  # halves may go either way


@pytest.mark.parametrize("name", ["gpfq", "hessian"])
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_put_down_and_taken_up_again_it_comes_to_the_same_codes(name, stop):
    (whole, one), (other, fresh) = (opened(name, steps=6, patch_share=0.5) for _ in range(2))
    for _ in range(stop):
        one.machine.step()
    kept = one.machine.state_dict()
    kept = {key: value.clone() if torch.is_tensor(value) else value for key, value in kept.items()}
    fresh.machine.load_state_dict(torch.load(_written(kept)))
    for _ in range(stop, 6):
        told = one.machine.step(), fresh.machine.step()
        assert told[0] == told[1]
    for path in one.block.layers:
        found, wanted = (net.get_submodule(path).weight_quantizer for net in (other, whole))
        assert torch.equal(found.codes, wanted.codes)
    assert torch.equal(fresh.machine.path()["error"], one.machine.path()["error"])
    assert fresh.machine.values() == one.machine.values()
    assert fresh.machine.flipped() == one.machine.flipped()


def _written(state):
    file = BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file
