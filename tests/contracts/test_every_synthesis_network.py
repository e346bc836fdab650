"""On networks that lack something every method runs, unless its card says what it needs."""

from dataclasses import asdict

import pytest
import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.needs import why_not
from engine.models.checkpoints.outline import count
from engine.synthesis import discover_methods
from engine.synthesis.statistics.batchnorm import StoredStatistics
from tests.contracts.nets import TinyResNet, ready, request
from tests.contracts.test_every_synthesis_method import folder

METHODS = discover_methods()


class ByConvolution(TinyResNet):
    """Scores of every place by a convolution, and their mean: SqueezeNet's head, without its ReLU."""

    kernel = 1

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(6, 3, self.kernel)
        self.head = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class ByWideConvolution(ByConvolution):
    kernel = 3


class ByMatrix(TinyResNet):
    """Scores by a bare matrix, which is no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.matrix = nn.Parameter(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) @ self.matrix


class WithoutBatchNorm(TinyResNet):
    """Every BatchNorm is left out."""

    def __init__(self) -> None:
        super().__init__()
        for path, module in list(self.named_modules()):
            if isinstance(module, nn.BatchNorm2d):
                self.set_submodule(path, nn.Identity())


class WithoutEither(WithoutBatchNorm, ByWideConvolution):
    """Neither BatchNorm nor a layer that names classes."""


class WithoutConvolution(nn.Sequential):
    """Linear layers alone."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 3))


NETWORKS = (
    TinyResNet, ByConvolution, ByWideConvolution, ByMatrix, WithoutBatchNorm, WithoutEither,
    WithoutConvolution,
)  # fmt: skip


def make(name, network, *, classes=3, **facts):
    cls = METHODS[name]
    given = {"steps": 2, "width": 16, "latent": 8, "noise_images": 16, "folder": folder().name}
    return cls(request(cls.Settings, ready(network()), classes=classes, **given | facts))


CASES = [(network, 3) for network in NETWORKS] + [(TinyResNet, 0), (WithoutConvolution, 0)]


@pytest.mark.extended
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("network", "classes"), CASES, ids=lambda one: getattr(one, "__name__", f"{one} classes")
)
def test_what_a_card_does_not_rule_out_runs(name, network, classes):
    listed = asdict(count(network)) | {"classes": classes}  # as a menu knows the network
    if why_not(METHODS[name].card.needs, listed):
        with pytest.raises(UserError, match=name):
            make(name, network, classes=classes)
        return
    memory: dict = {}
    for batch in range(2):
        machine = make(name, network, classes=classes, batch=batch, memory=memory)
        for _ in range(machine.total_steps):
            machine.step()
        memory = machine.remember()
        assert torch.isfinite(machine.images()).all()


@pytest.mark.parametrize("network", [TinyResNet, ByConvolution])
def test_features_are_what_the_scores_are_made_of(network):
    teacher, x = ready(network()), torch.randn(5, 3, 8, 8)
    stored = StoredStatistics(teacher, (3, 8, 8))
    layer = teacher.get_submodule(stored.classifier)
    features = stored.observe(teacher, x, features=True).features
    scores = features @ layer.weight.flatten(1).T + layer.bias
    assert torch.allclose(scores, teacher(x), atol=1e-5)


@pytest.mark.parametrize("network", [ByWideConvolution, ByMatrix, WithoutEither])
def test_without_a_layer_that_names_classes_there_are_no_features(network):
    assert StoredStatistics(ready(network()), (3, 8, 8)).classifier == ""


@pytest.mark.parametrize(("name", "term"), [("intraq", "margin"), ("dafl", "activation")])
def test_what_reads_features_does_so_or_says_that_it_is_left_out(name, term):
    def later(network):
        """A batch that has one before it, and its first step's losses where it makes steps."""
        first = make(name, network)
        losses = first.step()
        if name == "dafl":
            return first, losses
        second = make(name, network, batch=1, memory=first.remember())
        return second, second.step()

    machine, losses = later(ByConvolution)
    assert term in losses
    assert not machine.notes
    machine, losses = later(ByMatrix)
    assert term not in losses
    assert "left out" in machine.notes[0]
