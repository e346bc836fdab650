"""Weights that are fixed round by round: they stay, they are in the codebook, and all is told."""

import numpy as np
import pytest
import torch

from engine.quantization.distillation.fixing_view import fixing_view
from engine.quantization.distillation.weight_fixing import SHARES, share_after
from engine.quantization.grids.weights.codebook.powers import MOST_SIGMA
from engine.quantization.methods.pwfn import Pwfn
from engine.quantization.student import make_student, restore_block
from tests.contracts.nets import budget, quantizing

STEPS = 12


def machine(steps=STEPS, weight_bits=4, rule="brecq", activation_bits=8, **changes):
    chosen = budget(Pwfn.Settings, steps=steps, batch=4, **changes)
    work = quantizing(weight_bits=weight_bits, rule=rule, activation_bits=activation_bits)
    return work.distiller(Pwfn(chosen)), work, Pwfn(chosen)


def learned(found, work, method):
    """The student that a run ends with."""
    while found._steps_done < found.total_steps:
        found.step()
    student = make_student(work.teacher, work.blocks, work.plan, method.makers())
    state = found.learned()
    for block in work.blocks:
        restore_block(student, block, state)
    return student


@pytest.mark.parametrize("weight_bits", [2, 4, 8])
@pytest.mark.parametrize("rule", ["brecq", "all"])
def test_in_the_end_every_weight_is_in_the_codebook_and_the_counts_are_numpys(weight_bits, rule):
    found, work, method = machine(weight_bits=weight_bits, rule=rule)
    student = learned(found, work, method)
    book = found._learner._book
    weights = [student.get_submodule(path).weight.flatten() for path in work.plan]
    every = np.concatenate([weight.numpy() for weight in weights])
    values, counts = np.unique(every, return_counts=True)
    assert set(values.tolist()) <= {np.float32(one) for one in book.values}
    (view,) = found.views()
    assert view.values["fixed"] == pytest.approx(1)
    assert view.values["unique"] == len(values)
    shares = counts / len(every)
    assert view.values["entropy"] == pytest.approx(float(-(shares * np.log2(shares)).sum()))
    for path, weight in zip(work.plan, weights, strict=True):
        assert len(weight.unique()) <= 2 ** work.plan[path].weight_bits
    quantizers = [student.get_submodule(path).weight_quantizer for path in work.plan]
    assert sum(bool(one.keeps_book) for one in quantizers) == 1
    assert sum(one.side_bits() for one in quantizers) == 40 * len(book.values) + 8 * (
        len(quantizers) - 1
    )


def test_fixed_weights_do_not_move_any_more_and_free_ones_do():
    found, _, _ = machine(steps=20)
    learner, moved = found._learner, 0
    for _ in range(19):
        layers = list(learner.layers.values())
        fixed = [one.clone() for one in learner._fixed]
        before = [layer.float_weight.detach().clone() for layer in layers]
        spreads = [sigma.detach().clone() for sigma in learner._sigmas()]
        found.step()
        for layer, was, held, spread in zip(layers, fixed, before, spreads, strict=True):
            assert torch.equal(layer.float_weight[was], held[was])
            assert torch.equal(layer.weight_quantizer.sigma[was], spread[was])
            moved += int((layer.float_weight != held)[~was].sum())
    assert moved


def test_the_first_round_is_behind_the_first_step_and_the_last_behind_the_last():
    found, _, _ = machine(steps=30)
    total = sum(one.numel() for one in found._learner._fixed)
    shares = []
    for _ in range(30):
        found.step()
        shares.append(sum(int(one.sum()) for one in found._learner._fixed) / total)
    assert shares[0] == pytest.approx(0.2, abs=0.005)
    assert shares[-2] == pytest.approx(0.99, abs=0.005)
    assert shares[-1] == 1
    assert sorted({round(share, 2) for share in shares}) == pytest.approx(
        sorted({round(share, 2) for share in SHARES}), abs=0.011
    )


def test_other_numbers_of_rounds_follow_the_papers_shares():
    assert [share_after(k, 10) for k in range(1, 11)] == pytest.approx(list(SHARES))
    assert [share_after(k, 5) for k in range(1, 6)] == pytest.approx([0.4, 0.7, 0.9, 0.975, 1.0])
    assert share_after(1, 1) == 1
    many = [share_after(k, 40) for k in range(1, 41)]
    assert many == sorted(many)


def test_one_round_fixes_all_in_the_end():
    found, work, method = machine(rounds=1)
    for _ in range(STEPS - 1):
        found.step()
        assert not any(bool(one.any()) for one in found._learner._fixed)
    learned(found, work, method)
    assert all(bool(one.all()) for one in found._learner._fixed)


def test_the_pull_on_the_spreads_has_the_releases_gradient():
    found, _, _ = machine()
    learner, rng = found._learner, torch.Generator().manual_seed(0)
    learner.begin(0.0, rng)
    (pull,) = learner.penalties(found._images, found._wanted, 0.0).values()
    pull.backward()
    for layer in learner.layers.values():
        quantizer = layer.weight_quantizer
        sigma = quantizer.sigma.detach()
        wanted = -(2.0**-11) * (MOST_SIGMA - sigma).relu() * quantizer.noise.abs()
        assert torch.allclose(quantizer.sigma.grad, wanted)


def test_the_spreads_have_a_slope_where_student_and_teacher_answer_alike():
    """Of the divergence from oneself the slope is 0: what is drawn must differ from the teacher."""
    found, work, _ = machine(spread_weight=0.0)
    learner, rng = found._learner, torch.Generator().manual_seed(0)
    for module in learner.student.modules():  # inputs in float: the student is the teacher
        if getattr(module, "input_quantizer", None) is not None:
            module.register_module("input_quantizer", torch.nn.Identity())
    slopes = []
    for drawn in (False, True):
        learner.begin(0.0, rng)
        if not drawn:
            for layer in learner.layers.values():
                layer.weight_quantizer.noise.zero_()
        losses = found._losses(
            found._images, found._wanted, found._features(work.teacher, found._images)
        )
        parts = [layer.float_weight for layer in learner.layers.values()]
        (answers, *_) = losses.values()
        slopes.append(sum(float(g.abs().sum()) for g in torch.autograd.grad(answers, parts)))
    assert slopes[0] < 1e-4 < 10 * slopes[0] + 1e-3 < slopes[1]


@pytest.mark.parametrize(("spread", "groups"), [("learned", 2), ("prior", 1), ("constant", 1)])
def test_spreads_are_learned_only_where_they_are_to_be(spread, groups):
    found, _, _ = machine(spread=spread, constant_sigma=0.01)
    learner = found._learner
    assert len(learner.groups()) == groups
    before = [sigma.detach().clone() for sigma in learner._sigmas()]
    if spread == "constant":
        assert all((one == 0.01).all() for one in before)
    found.step()
    free = [
        torch.equal(sigma[~fixed], was[~fixed])
        for sigma, was, fixed in zip(learner._sigmas(), before, learner._fixed, strict=True)
    ]
    assert all(free) is (spread != "learned")


def test_biases_and_batchnorm_are_left_as_they_are():
    found, work, method = machine()
    student = learned(found, work, method)
    teacher, mine = work.teacher.state_dict(), student.state_dict()
    layers = {f"{path}.weight" for path in work.plan}
    others = [name for name in teacher if name not in layers]
    assert any(name.endswith("bias") for name in others)
    assert all(torch.equal(mine[name], teacher[name]) for name in others)


def test_a_network_of_tiny_weights_is_told_that_they_will_be_0():
    _, work, method = machine()
    assert method.remarks(work.teacher) == []
    with torch.no_grad():
        work.teacher.stem[0].weight *= 1e-3
    (told,) = method.remarks(work.teacher)
    assert "Of 1 layers, stem.0 first" in told
    assert "quantization.finest, which is 7" in told


def test_the_picture_reaches_as_far_as_most_weights_and_leaves_out_the_few_beyond():
    free = torch.cat([torch.linspace(-0.1, 0.1, 996), torch.tensor([1.0, -1.0, 1.0, 1.0])])
    none = {"values": torch.zeros(0), "held": torch.zeros(0), "entropy": 0.0}
    seen = fixing_view(free, [none])
    assert 0.095 < float(seen.arrays["centres"].abs().max()) <= 0.1
    assert float(seen.arrays["free"].sum()) == pytest.approx(0.995, abs=0.003)
    book = {"values": torch.tensor([-1.0, 0.0, 0.125]), "held": torch.tensor([0.001, 0.6, 0.399])}
    fixed = fixing_view(torch.zeros(0), [book | {"entropy": 1.0}])
    assert fixed.arrays["now"].tolist() == [0.0, 0.125]
    assert fixed.arrays["value"].tolist() == [0.0, 0.125]
    assert fixed.values["unique"] == 3.0
