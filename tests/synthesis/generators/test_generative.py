"""What the generator methods owe to their papers, on a network small enough to train one in a second."""

import itertools

import pytest
import torch

from engine.core.errors import UserError
from engine.synthesis.generators.networks.classmix import ClassMix
from engine.synthesis.loss import Scene
from engine.synthesis.methods.clusterq import Clusterq
from engine.synthesis.methods.dafl import Dafl
from engine.synthesis.methods.fdda import Fdda, first_of_each
from engine.synthesis.methods.gdfq import Gdfq
from engine.synthesis.methods.gznq import Gznq
from engine.synthesis.methods.qimera import Qimera
from engine.synthesis.statistics.batchnorm import Observation
from engine.synthesis.statistics.moments import image_moments
from tests.contracts.nets import TinyResNet, images, ready, request

SMALL = {"steps": 10, "width": 16, "latent": 8}


def make(cls, **facts):
    return cls(request(cls.Settings, **SMALL | facts))


def trained(cls, **facts):
    machine = make(cls, **facts)
    for _ in range(machine.total_steps):
        machine.step()
    return machine


# --- one generator for the whole set ------------------------------------------------------------


def test_the_first_batch_trains_and_the_others_only_draw():
    settings = make(Gdfq).request.settings
    assert [Gdfq.planned_steps(settings, batch) for batch in (0, 1, 5)] == [10, 0, 0]


def test_later_batches_are_other_images_of_the_same_generator():
    """Of DAFL's, which is told no class: so it is the latents that differ."""
    first = trained(Dafl)
    second = make(Dafl, batch=1, offset=8, memory=first.remember(), seed=3)
    learnt = first.canvas.state_dict()
    assert all(torch.equal(learnt[k], v) for k, v in second.canvas.state_dict().items())
    third = make(Dafl, batch=2, offset=16, memory=second.remember(), seed=4)
    made = [machine.images() for machine in (first, second, third)]
    assert all(float((made[k] - made[k - 1]).abs().mean()) > 0.1 for k in range(3))


def test_classes_are_balanced_over_the_whole_set_not_only_in_each_batch():
    """3 classes in batches of 8: 24 images are 8 of each, although no batch can be even."""
    first = make(Gdfq)
    parts = [
        make(Gdfq, batch=k, offset=8 * k, memory=first.remember() if k else {}) for k in range(3)
    ]
    labels = torch.cat([part.labels() for part in parts])
    assert torch.bincount(labels).tolist() == [8, 8, 8]


def test_pictures_keep_their_latents_while_the_generator_learns():
    machine = make(Gdfq)
    before = machine.images()
    assert torch.equal(before, machine.images()), "looking changes nothing"
    machine.step()
    after = machine.images()
    assert 0 < float((after - before).abs().mean()) < 0.5  # other latents are 1.1 apart


def test_a_step_trains_on_as_many_images_as_asked_for_whatever_the_size_of_the_set():
    machine = make(Gdfq, batch_size=None, shape=(4, 3, 8, 8))
    machine.step()
    assert len(machine.latest.logits) == machine.request.settings.batch


def test_the_rate_drops_at_even_distances():
    machine = make(Gdfq, steps=8, lr=1.0e-3, lr_drops=3)
    rates = []
    for _ in range(8):
        rates.append(machine.parts.optimisers["generator"].optimizer.param_groups[0]["lr"])
        machine.step()
    assert rates == pytest.approx([1e-3] * 2 + [1e-4] * 2 + [1e-5] * 2 + [1e-6] * 2)


def test_gdfq_minimises_cross_entropy_and_a_tenth_of_the_variance_distance():
    machine = make(Gdfq)
    scene = machine.look()
    losses = machine.weighted(scene)
    wanted = torch.nn.functional.cross_entropy(scene.seen.logits, scene.labels)
    assert torch.allclose(losses["class"], wanted)
    layers = zip(scene.seen.moments, machine.request.stored.moments, strict=True)
    gaps = [
        (a.mean - b.mean).square().mean() + (a.variance - b.variance).square().mean()
        for a, b in layers
    ]
    assert torch.allclose(losses["batchnorm"], 0.1 * torch.stack(gaps).mean(), rtol=1e-5)


@pytest.mark.parametrize("cls", [Gdfq, Qimera, Clusterq, Fdda])
@pytest.mark.parametrize("conditioning", ["embedding", "batchnorm"])
def test_the_class_asked_for_changes_the_image(cls, conditioning):
    machine = make(cls, conditioning=conditioning)
    for parameter in machine.canvas.parameters():  # class-wise norms start alike for all classes
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    made = [
        machine.canvas.draw(
            ClassMix(torch.full((4, 1), label), torch.ones(4, 1)), torch.Generator().manual_seed(0)
        )
        for label in (0, 1)
    ]
    assert float((made[0] - made[1]).detach().abs().mean()) > 0.01


def test_large_images_are_told_their_class_by_batchnorm_and_small_ones_are_not():
    assert not make(Gdfq).class_norms()
    for side, large in (
        (64, False),
        (65, True),
    ):  # of 64 pixels at most the papers' generator is the small
        machine = make(Gdfq, shape=(2, 3, 8, side), width=8)
        assert machine.class_norms() is large


@pytest.mark.parametrize("cls", [Gdfq, Qimera, Clusterq, Fdda, Dafl])
def test_terms_of_weight_0_are_not_computed(cls):
    weights = {
        "class_weight": 0.0, "centroid_weight": 0.0, "central_weight": 0.0, "blurred_weight": 0.0,
        "activation_weight": 0.0, "one_hot_weight": 0.0,
    }  # fmt: skip
    machine = make(cls, **weights)
    assert set(machine.step()) == ({"balance"} if cls is Dafl else {"batchnorm"})


# --- Qimera -------------------------------------------------------------------------------------


def test_qimeras_embeddings_start_at_the_rows_of_the_classifier():
    teacher = ready(TinyResNet())
    machine = make(Qimera, teacher=teacher)
    assert torch.equal(machine.canvas.embedding.table.weight, teacher.head[2].weight)
    assert machine.canvas.embedding.latent == 6
    assert make(Qimera, embeddings="random").canvas.embedding.latent == 8
    assert not machine.notes


def test_qimera_says_so_where_there_is_no_classifier_to_start_from():
    teacher = ready(TinyResNet())
    teacher.head[2] = torch.nn.Conv1d(6, 3, 1)
    teacher.head.insert(2, torch.nn.Unflatten(1, (6, 1)))
    teacher.head.append(torch.nn.Flatten())
    machine = make(Qimera, teacher=teacher.eval().requires_grad_(False))
    assert "start at random" in machine.notes[0]
    assert machine.canvas.embedding.latent == 8


def test_the_mapping_is_on_by_default_and_can_be_switched_off():
    assert make(Qimera).canvas.embedding.code == 64
    assert make(Qimera, mapped=0).canvas.embedding.code == 6


def test_frozen_embeddings_stay():
    machine = trained(Qimera, frozen=True)
    assert torch.equal(
        machine.canvas.embedding.table.weight, machine.request.teacher.head[2].weight
    )
    learnt = trained(Qimera).canvas.embedding.table.weight
    assert not torch.equal(learnt, machine.canvas.embedding.table.weight)


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 0), (1.0, 300), (0.4, 120)])
def test_whole_batches_are_mixtures_as_often_as_asked_for(share, wanted):
    machine = make(Qimera, superposed=share)
    drawn = [machine.draw_classes(4) for _ in range(300)]
    assert sum(not mix.single for mix in drawn) == pytest.approx(wanted, abs=25 * (0 < share < 1))
    assert all(mix.classes.shape[1] in (1, 2) for mix in drawn)


def test_every_batch_of_the_set_has_its_share_of_mixtures_and_the_rest_is_balanced():
    machine = make(Qimera, superposed=0.25)
    labels = machine.labels()
    single = labels.amax(1) == 1
    assert (int(single.sum()), int((~single).sum())) == (6, 2)
    assert labels[single].sum(0).tolist() == [2, 2, 2]
    assert machine.images().shape == (8, 3, 8, 8)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.4, 1.0])
def test_however_the_set_is_cut_into_batches_its_mixtures_are_the_share_of_all_images(share):
    machine, ends = make(Qimera, superposed=share), (0, 3, 7, 8, 16, 29, 40)
    mixed = 0
    for first, last in itertools.pairwise(ends):
        alone, together = machine.own_classes(first, last)
        assert (alone.single, together.single) == (True, False)
        assert len(alone) + len(together) == last - first
        mixed += len(together)
        assert mixed == round(share * last)


def test_all_images_can_be_mixtures():
    machine = make(Qimera, superposed=1.0)
    assert torch.allclose(machine.labels().sum(1), torch.ones(8))
    assert machine.labels().dtype == torch.float32
    assert machine.images().shape == (8, 3, 8, 8)


# --- FDDA ---------------------------------------------------------------------------------------


def test_the_first_images_of_each_class_are_taken():
    labels = torch.tensor([2, 0, 2, 0, 0, 1])
    numbers = torch.arange(6.0)[:, None, None, None]
    taken, theirs = first_of_each(numbers, labels, 1, 4)
    assert taken.flatten().tolist() == [0, 1, 5]
    assert theirs.tolist() == [2, 0, 1]
    assert first_of_each(numbers, labels, 2, 4)[0].flatten().tolist() == [0, 1, 2, 3, 5]


def test_labels_of_another_network_are_refused():
    with pytest.raises(UserError, match="label 3, and the network tells 3 classes"):
        make(Fdda, real_labels=torch.tensor([0, 1, 2, 3] * 2))


def own_labels(count=8):
    """Real images labelled as the teacher sees them, so that it recognises every one."""
    teacher, real = ready(TinyResNet()), images(count)
    teacher.head[2].bias.sub_(teacher(real).mean(0))  # as it is, it takes all for one class
    return {"teacher": teacher, "real": real, "real_labels": teacher(real).argmax(1)}


def test_centres_are_those_of_the_images_that_the_teacher_recognises():
    facts = own_labels()
    answers = facts["real_labels"]
    label = int(answers.mode().values)
    told = answers.clone()
    told[answers != label] = label  # all are called one class, and some are of another
    machine = make(Fdda, images_per_class=8, **facts | {"real_labels": told})
    right = answers == label
    assert 1 < int(right.sum()) < 8
    assert machine.centres.count.tolist() == [int(right.sum()) * (k == label) for k in range(3)]
    stem = facts["teacher"].stem[0](facts["real"][right])
    assert torch.allclose(machine.centres.layers[0].mean[label], stem.mean((0, 2, 3)), atol=1e-5)
    believed = make(Fdda, images_per_class=8, recognised=False, **facts | {"real_labels": told})
    assert believed.centres.count[label] == 8


def test_without_a_recognised_image_there_is_no_centre_and_fdda_says_so():
    facts = own_labels()
    wrong = facts | {"real_labels": (facts["real_labels"] + 1) % 3}
    with pytest.raises(UserError, match="recognises none"):
        make(Fdda, **wrong)
    assert make(Fdda, recognised=False, **wrong).centres.known.any()


def test_fddas_second_batch_is_of_one_class_that_has_a_centre():
    facts = own_labels()
    kept = facts["real_labels"] != facts["real_labels"][0]  # one class has no image
    facts |= {"real": facts["real"][kept], "real_labels": facts["real_labels"][kept]}
    machine = make(Fdda, **facts)
    has_centre = set(facts["real_labels"].tolist())
    assert len(has_centre) < 3
    drawn = [machine._look_at_one().labels for _ in range(12)]
    assert all(len(labels.unique()) == 1 for labels in drawn)
    assert {int(labels[0]) for labels in drawn} <= has_centre
    assert all(len(labels) == machine.request.settings.batch for labels in drawn)


def test_fddas_class_terms_are_of_the_deep_half():
    machine = make(Fdda, **own_labels())
    assert list(machine._of_one["central"][1].layers) == [1, 2, 3, 4, 5]  # of 6
    assert list(make(Fdda, layers="all", **own_labels())._of_one["central"][1].layers) == list(
        range(6)
    )


def test_fdda_says_what_its_centres_are_of():
    assert "classes have a centre" in make(Fdda, **own_labels()).notes[0]


def test_fdda_draws_later_batches_without_measuring_anything():
    first = trained(Fdda, **own_labels())
    assert not make(Fdda, batch=1, memory=first.remember()).notes


# --- ClusterQ -----------------------------------------------------------------------------------


def seen_by_clusterq(step, labels, answers):
    """A scene in which every layer sees the images themselves, and the teacher answers as told."""
    x = torch.randn(len(labels), 4, 3, 3)
    rows = [image_moments(x)] * 6
    seen = Observation([], torch.eye(3)[answers], per_image=rows)
    return Scene(images=x, shown=x, seen=seen, labels=torch.tensor(labels), step=step)


def test_centroids_come_with_the_first_epoch_after_the_warm_up_and_are_the_classes_own():
    """Epochs of 2 steps, and a warm-up of 5: the third epoch ends at the sixth step."""
    machine = make(Clusterq, steps=10, warm_up=0.5, pace=0.2)
    scenes, appeared = [], []
    for step in range(6):
        scenes.append(seen_by_clusterq(step, [0, 0, 2, 2, 1], [0, 1, 2, 2, 0]))
        machine._move(scenes[-1])
        appeared.append(machine.centroids.known.tolist())
    assert appeared == [[False] * 3] * 5 + [[True, False, True]]
    # of both steps of the epoch, only those that the teacher takes for the class asked for
    x = torch.cat([scene.images for scene in scenes[4:]])
    wanted = {0: x[[0, 5]], 2: x[[2, 3, 7, 8]]}
    for label, mine in wanted.items():
        centroid = machine.centroids.layers[0]
        assert torch.allclose(centroid.mean[label], mine.mean((0, 2, 3)), atol=1e-5)
        assert torch.allclose(
            centroid.variance[label], mine.var((0, 2, 3), correction=0), atol=1e-3
        )


def test_centroids_move_by_beta_at_the_end_of_every_epoch():
    machine = make(Clusterq, steps=10, warm_up=0.0, pace=0.1, beta=0.2)
    scenes = [seen_by_clusterq(step, [0, 0], [0, 0]) for step in range(2)]
    for scene in scenes:
        machine._move(scene)
    means = [scene.images.mean((0, 2, 3)) for scene in scenes]
    moved = 0.8 * means[0] + 0.2 * means[1]
    assert torch.allclose(machine.centroids.layers[0].mean[0], moved, atol=1e-5)


def test_clusterq_goes_on_in_the_middle_of_an_epoch():
    scenes = [seen_by_clusterq(step, [0, 2], [0, 2]) for step in range(4)]
    straight, first, second = (make(Clusterq, warm_up=0.0, pace=0.3, seed=k) for k in (0, 0, 7))
    for scene in scenes:
        straight._move(scene)
    for scene in scenes[:2]:
        first._move(scene)
    second.load_state_dict(first.state_dict())
    for scene in scenes[2:]:
        second._move(scene)
    assert straight.centroids.known.tolist() == [True, False, True]
    for memory in ("centroids", "_fresh"):
        wanted, found = getattr(straight, memory), getattr(second, memory)
        assert torch.equal(wanted.count, found.count)
        assert torch.equal(wanted.layers[0].mean, found.layers[0].mean)


def test_the_loss_reads_the_centroids_that_move():
    machine = make(Clusterq)
    assert machine.parts.losses["centroid"][1].memory is machine.centroids


def test_a_batch_takes_few_enough_classes_that_each_has_some_images():
    machine = make(Clusterq, together=4)
    assert all(len(machine.draw_classes(8).classes.unique()) <= 2 for _ in range(20))
    drawn = torch.cat([machine.draw_classes(8).classes for _ in range(60)])
    assert len(drawn.unique()) == 3


# --- DAFL and GZNQ ------------------------------------------------------------------------------


def test_dafl_works_without_batchnorm_and_is_told_no_class():
    machine = make(Dafl)
    assert machine.labels() is None
    assert machine.card.needs == ("classes",)
    assert set(machine.step()) == {"one-hot", "balance", "activation"}


@pytest.mark.parametrize("optimise", ["latents", "pixels"])
def test_gznq_compares_the_moving_average_of_the_last_steps(optimise):
    machine = Gznq(request(Gznq.Settings, steps=3, optimise=optimise, roll=0, flip=False))
    weight, term = machine.parts.losses["batchnorm"]
    means = []
    for _ in range(2):
        means.append(machine.look().seen.moments[0].mean.detach())
        machine.step()
    averaged = 0.8 * means[0] + 0.2 * means[1]
    assert torch.allclose(term._average[0][0], averaged, atol=1e-5)
    assert weight == 1
