"""How far the statistics of the images are from those that the network keeps.

The published methods differ silently in five choices; here each is an argument, and a knob of every
method that has the term (statistics_settings.py):

| method         | scope | second | metric  | over channels | over layers |
|----------------|-------|--------|---------|---------------|-------------|
| ZeroQ, DSG     | image | std    | squared | sum           | sum         |
| GENIE          | batch | std    | squared | mean          | sum         |
| GDFQ, IntraQ   | batch | var    | squared | mean          | mean        |
| DeepInversion  | batch | var    | norm    | (in the norm) | sum         |
| GZSQ           | batch | std    | z-score | mean          | sum         |

`std` is the unbiased standard deviation, `var` the biased variance, as in the released codes. Qimera,
FDDA and ClusterQ have GDFQ's; the class terms of the last two are in centres.py.
The slack margins of DSG, the stress on one layer per image and the moving average are options of the
one term, not terms of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from engine.synthesis.loss import Loss, Scene
from engine.synthesis.statistics.moments import Moments

Pair = tuple[Tensor, Tensor]  # the mean, and the spread in the chosen form
TINY = 1e-6


@dataclass(slots=True, kw_only=True)
class StatisticsLoss(Loss):
    """The distance of the seen moments to `targets`, one entry a layer, in the layers' order.

    Each target holds [channels] numbers. `slack` gives each layer (margin of the mean, margin of the
    spread): a gap within the margin costs nothing, one beyond only what it is beyond (DSG).
    `image_weights` is [images, layers] for the scope "image". `momentum` is the share of the present
    batch in the moving average of the scope "moving"; the rest is remembered, and passes no gradient. A
    z-score knows no slack, and compares deviations whatever `second` says.
    """

    targets: Sequence[Moments]
    scope: Literal["batch", "image", "moving"] = "batch"
    second: Literal["std", "var"] = "std"
    metric: Literal["squared", "norm", "z-score"] = "squared"
    over_channels: Literal["mean", "sum"] = "mean"
    over_layers: Literal["mean", "sum"] = "sum"
    layers: Sequence[int] | None = None  # those that count; None: all
    layer_weights: Sequence[float] | None = None
    image_weights: Tensor | None = None
    slack: Sequence[tuple[float, float]] | None = None
    momentum: float = 0.1
    source: Literal["moments", "outputs"] = "moments"  # at BatchNorm layers, or behind named ones
    spread_weight: float = 1.0  # of the second half of the z-score
    _average: list[Pair] = field(default_factory=list, init=False)

    @property
    def reads(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset({"per-image"} if self.scope == "image" else ())

    def __call__(self, scene: Scene) -> Tensor:
        chosen = range(len(self.targets)) if self.layers is None else self.layers
        seen = self._seen(scene)
        if self.scope == "moving":
            seen = self._moving(seen)
        losses = []
        for layer in chosen:
            loss = self._distance(seen[layer], self._pair(self.targets[layer]), layer)
            if self.image_weights is not None:
                loss = loss * self.image_weights[: len(loss), layer].to(loss)
            loss = loss.mean() if loss.dim() else loss
            losses.append(loss if self.layer_weights is None else self.layer_weights[layer] * loss)
        together = torch.stack(losses)
        return together.sum() if self.over_layers == "sum" else together.mean()

    def _seen(self, scene: Scene) -> list[Pair]:
        moments = scene.seen.moments if self.source == "moments" else scene.seen.outputs
        if self.scope == "image":
            moments = scene.seen.per_image
        assert moments is not None
        return [self._pair(each) for each in moments]

    def _pair(self, moments: Moments) -> Pair:
        return moments.mean, moments.spread(second_of(self.second, self.metric))

    def _distance(self, seen: Pair, target: Pair, layer: int) -> Tensor:
        """Of one layer: 0-dim, or one for each row of the moments."""
        margins = None if self.slack is None else self.slack[layer]
        per_channel = gaps(seen, target, self.metric, margins, self.spread_weight)
        return per_channel.mean(-1) if self.over_channels == "mean" else per_channel.sum(-1)

    def _moving(self, seen: list[Pair]) -> list[Pair]:
        if self._average:
            share = self.momentum
            seen = [
                ((1 - share) * old[0] + share * new[0], (1 - share) * old[1] + share * new[1])
                for old, new in zip(self._average, seen, strict=True)
            ]
        self._average = [(mean.detach(), spread.detach()) for mean, spread in seen]
        return seen

    def state_dict(self) -> dict[str, Any]:
        average = [list(pair) for pair in self._average]
        return {"average": average, "second": second_of(self.second, self.metric)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        here = second_of(self.second, self.metric)
        if state.get("second", here) != here:
            return  # a fork that compares the other second moment: its average begins anew
        self._average = [(mean, spread) for mean, spread in state["average"]]


def second_of(second: str, metric: str) -> str:
    """The second moment that is compared: a z-score is of deviations."""
    return "std" if metric == "z-score" else second


def gaps(
    seen: Pair,
    target: Pair,
    metric: str,
    margins: tuple[float, float] | None = None,
    spread_weight: float = 1.0,
) -> Tensor:
    """What means and spreads differ by in a metric, [.., channels]; a norm is one for all channels."""
    if metric == "z-score":
        return z_score(seen, target, spread_weight)
    first, second = seen[0] - target[0], seen[1] - target[1]
    if margins is not None:
        # The magnitude first, then the margin. (DSG's code for training does it the other way
        # round, which punishes what lies inside the margin.)
        first = (first.abs() - margins[0]).clamp_min(0)
        second = (second.abs() - margins[1]).clamp_min(0)
    if metric == "norm":
        lengths: Tensor = torch.stack([first, second]).norm(dim=-1)
        return lengths.sum(0)[..., None]
    return first.square() + second.square()


def z_score(seen: Pair, target: Pair, spread_weight: float = 1.0) -> Tensor:
    """GZSQ's distance of two normal distributions per channel: |Δmean| / sqrt(σ² + σ'²).

    As published (a spread weight of 0) it can be made small by making the images' own σ large, since
    that stands in the denominator. So |Δσ| / (σ + σ') is added, which forbids this way out.
    """
    scale = ((seen[1] + TINY).square() + (target[1] + TINY).square()).sqrt()
    spread = (seen[1] - target[1]).abs() / (seen[1] + target[1] + TINY)
    return (seen[0] - target[0]).abs() / scale + spread_weight * spread


def layer_emphasis(images: int, layers: int) -> Tensor:
    """DSG's layerwise sample enhancement, [images, layers]: 1 everywhere, 2 where layer = image mod layers.

    The paper's weights for as many images as layers, 11ᵀ + I, carried on for any number of images.
    (The released code doubles the gap instead of the loss, which weighs it by 4.)
    """
    weights = torch.ones(images, layers)
    weights[torch.arange(images), torch.arange(images) % layers] += 1
    return weights


def share_inside(
    seen: Sequence[Moments], targets: Sequence[Moments], slack: Any, second: str = "std"
) -> float:
    """The share of all channels' means and spreads that lie within the slack, in [0, 1]."""
    inside = [
        torch.cat([
            (a.mean - b.mean).abs() <= mean,
            (a.spread(second) - b.spread(second)).abs() <= spread,
        ], dim=-1)
        for a, b, (mean, spread) in zip(seen, targets, slack, strict=True)
    ]  # fmt: skip
    return float(torch.cat([part.flatten() for part in inside]).float().mean())
