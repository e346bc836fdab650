"""Weights with a spread of their own, fixed round by round to the values of one codebook: PWFN's training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.method import Losses, View
from engine.quantization.distillation.fixing_view import fixing_view
from engine.quantization.distillation.learner import Learner
from engine.quantization.grids.weights.codebook.fixing import (
    Cloud,
    Codebook,
    Reach,
    fix_all,
    shannon_entropy,
)
from engine.quantization.grids.weights.codebook.powers import LEAST_SIGMA, MOST_SIGMA, prior_sigma
from engine.quantization.plan import BlockLike

SHARES = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 1.0)  # fixed after each round (release)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixingSettings:
    """How weights are fixed, and how their spread is learned."""

    steps: int
    rounds: int
    spread: str  # "learned", "prior" or "constant"
    constant_sigma: float
    spread_weight: float  # λ: how hard every σ is pulled up to 0.05
    lr: float
    sigma_lr: float
    reach: Reach


def share_after(done: int, rounds: int) -> float:
    """The share of weights that is fixed after so many of the rounds: the paper's for 10, between else."""
    if done >= rounds:
        return 1.0
    place = done / rounds * len(SHARES)  # on the paper's axis of rounds, from 0
    below = int(place)
    known = (0.0, *SHARES)
    share: float = known[below] + (place - below) * (known[below + 1] - known[below])
    return share


class FixingLearner(Learner):
    """Means and spreads of all weights; every forward pass draws each weight anew from its own."""

    def __init__(
        self, student: nn.Module, blocks: Sequence[BlockLike], chosen: FixingSettings
    ) -> None:
        super().__init__(student, blocks)
        self._chosen = chosen
        self._book, self._round = Codebook(), 0
        self._course: list[dict[str, Any]] = []
        for layer in self.layers.values():
            layer.float_weight.requires_grad_()
            weight = layer.float_weight.detach()
            constant = torch.full_like(weight, chosen.constant_sigma)
            layer.weight_quantizer.learn(
                constant if chosen.spread == "constant" else prior_sigma(weight)
            )
        weights = [layer.float_weight for layer in self.layers.values()]
        self._fixed = [torch.zeros_like(w, dtype=torch.bool) for w in weights]
        self._held = [torch.zeros_like(w.detach()) for w in weights]  # mean of what is fixed
        self._counts = [1 / w.detach().square().sum().clamp_min(1e-12) for w in weights]
        self._held_sigma = [torch.zeros_like(w.detach()) for w in weights]

    def groups(self) -> list[dict[str, Any]]:
        means = {"params": [one.float_weight for one in self.layers.values()]}
        spreads = {"params": self._sigmas()}
        learned = self._chosen.spread == "learned"
        return [means | {"lr": self._chosen.lr}] + (
            [spreads | {"lr": self._chosen.sigma_lr}] if learned else []
        )

    def _sigmas(self) -> list[nn.Parameter]:
        return [one.weight_quantizer.sigma for one in self.layers.values()]

    def begin(self, progress: float, rng: torch.Generator) -> None:
        for layer in self.layers.values():
            weight = layer.float_weight
            drawn = torch.randn(weight.shape, generator=rng, dtype=weight.dtype)
            layer.weight_quantizer.noise = drawn.to(weight.device)

    def penalties(self, x: Tensor, wanted: Tensor, progress: float) -> Losses:
        """The release adds −λ max(0.05 − σ, 0) |ε| to the gradient of σ; this is what has that gradient."""
        if self._chosen.spread != "learned" or not self._chosen.spread_weight:
            return {}
        missing = [
            (
                one.weight_quantizer.noise.abs()
                * (MOST_SIGMA - one.weight_quantizer.sigma).relu().square()
            ).sum()
            for one in self.layers.values()
        ]
        return {"spread": self._chosen.spread_weight / 2 * torch.stack(missing).sum()}

    def after(self, progress: float) -> None:
        self._hold()
        rounds, steps = self._chosen.rounds, self._chosen.steps
        done = round(progress * steps) + 1
        # The first round is behind the first step, the last one behind the last.
        due = rounds if done >= steps else min(1 + (done - 1) * (rounds - 1) // steps, rounds - 1)
        while self._round < due:
            self._fix()

    def _hold(self) -> None:
        """What is fixed stays, whatever the optimiser's momentum makes of it."""
        state = zip(
            self.layers.values(), self._sigmas(), self._fixed, self._held, self._held_sigma,
            strict=True,
        )  # fmt: skip
        for layer, sigma, fixed, mean, spread in state:
            layer.float_weight.copy_(torch.where(fixed, mean, layer.float_weight))
            sigma.copy_(torch.where(fixed, spread, sigma).clamp_min(LEAST_SIGMA))

    @torch.no_grad()
    def _fix(self) -> None:
        """One round over all layers together."""
        self._round += 1
        layers = list(self.layers.values())
        sigmas = self._sigmas()
        clouds: dict[int, Cloud] = {}
        places: dict[int, list[int]] = {}
        for k, layer in enumerate(layers):
            places.setdefault(layer.weight_quantizer.bits, []).append(k)
        for bits, which in places.items():
            clouds[bits] = Cloud(
                bits=bits,
                means=torch.cat([layers[k].float_weight.flatten() for k in which]),
                sigmas=torch.cat([sigmas[k].flatten() for k in which]),
                fixed=torch.cat([self._fixed[k].flatten() for k in which]),
                counts=torch.cat(
                    [self._counts[k].expand(layers[k].float_weight.numel()) for k in which]
                ),
            )
        share = share_after(self._round, self._chosen.rounds)
        fix_all(list(clouds.values()), share, self._book, self._chosen.reach)
        for bits, which in places.items():
            sizes = [layers[k].float_weight.numel() for k in which]
            cloud = clouds[bits]
            parts = zip(
                which, cloud.means.split(sizes), cloud.sigmas.split(sizes), cloud.fixed.split(sizes),
                strict=True,
            )  # fmt: skip
            for k, mean, sigma, fixed in parts:
                shape = layers[k].float_weight.shape
                self._fixed[k] = fixed.view(shape)
                self._held[k], self._held_sigma[k] = mean.view(shape), sigma.view(shape)
        self._hold()
        self._note(share)

    def _note(self, share: float) -> None:
        """What this round came to."""
        fixed = torch.cat(
            [mean[is_fixed] for mean, is_fixed in zip(self._held, self._fixed, strict=True)]
        )
        values, counts = fixed.unique(return_counts=True)
        total = sum(one.numel() for one in self._fixed)
        self._course.append(
            {
                "share": share,
                "entropy": shannon_entropy(counts),
                "values": values.cpu(),
                "held": (counts / total).cpu(),
            }
        )

    @torch.no_grad()
    def settle(self) -> None:
        layers = list(self.layers.values())
        if not layers[0].weight_quantizer.learning:
            return
        while self._round < self._chosen.rounds:
            self._fix()
        widest = max(layers, key=lambda one: one.weight_quantizer.bits)
        for layer, mean in zip(layers, self._held, strict=True):
            quantizer = layer.weight_quantizer
            layer.float_weight.requires_grad_(False)
            quantizer.settle(mean, self._book.of(quantizer.bits), keeps_book=layer is widest)

    def views(self) -> Sequence[View]:
        if not self._course:
            return []
        state = zip(self.layers.values(), self._fixed, strict=True)
        free = [layer.float_weight.detach()[~fixed] for layer, fixed in state]
        return [fixing_view(torch.cat(free), self._course)]

    def state_dict(self) -> dict[str, Any]:
        return {
            "values": list(self._book.values), "bits": list(self._book.bits), "round": self._round,
            "course": list(self._course), "fixed": self._fixed, "held": self._held,
            "held_sigma": self._held_sigma, "sigma": [sigma.detach() for sigma in self._sigmas()],
        }  # fmt: skip

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._book = Codebook(values=list(state["values"]), bits=list(state["bits"]))
        self._round, self._course = int(state["round"]), list(state["course"])
        self._fixed, self._held = list(state["fixed"]), list(state["held"])
        self._held_sigma = list(state["held_sigma"])
        for sigma, kept in zip(self._sigmas(), state["sigma"], strict=True):
            sigma.copy_(kept)
