"""How much each layer minds losing bits, measured one layer and one width at a time."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from engine.core.divergence import score_rows
from engine.core.method import Losses
from engine.quantization.bits.partial_student import CHUNK, PartialStudent

Entry = tuple[str, str, int]  # a layer's path; "weight" or "input"; bits


class Sensitivities:
    """A step machine: each step measures one entry of the table, or one mini-batch of the curvature.

    `kl`: the Kullback-Leibler divergence of the predictions with one layer's weights rounded from the
    teacher's, as in ZeroQ (Cai et al., CVPR 2020, section 3.3). `hessian`: the mean curvature of the
    layer times its squared weight error, as in HAWQ-V2 (Dong et al., NeurIPS 2020), with the Fisher
    matrix (labels drawn from the teacher's own predictions) for the Hessian. `output`: noise over signal
    of what the layer gives, on the teacher's inputs. `sqnr`: noise over signal of the weights, no image
    needed.

    An input is measured by itself like a layer's weights.
    """

    def __init__(
        self,
        partial: PartialStudent,
        entries: Sequence[Entry],
        *,
        kind: str,
        probes: int,
        rng: torch.Generator,
    ) -> None:
        self._partial, self._entries, self._kind, self._rng = partial, list(entries), kind, rng
        self._layers = list(dict.fromkeys(path for path, what, _ in entries if what == "weight"))
        self._measured: dict[str, float] = {}  # by "path.weight/bits" or "path.input/bits"
        self._traces = torch.zeros(len(self._layers), dtype=torch.float64)
        self._steps_done = 0
        self.total_steps = probes if kind == "hessian" else len(self._entries)

    def step(self) -> Losses:
        if self._kind == "hessian":
            sensitivity = self._probe()
        else:
            path, what, bits = self._entries[self._steps_done]
            sensitivity = self._measure(path, what, bits)
            self._measured[f"{path}.{what}/{bits}"] = sensitivity
        self._steps_done += 1
        return {"sensitivity": torch.tensor(sensitivity)}

    def of(self, path: str, what: str, bits: int) -> float:
        """How much worse the network gets with this layer's `what` at that many bits."""
        if self._kind != "hessian":
            return self._measured[f"{path}.{what}/{bits}"]
        return (
            self.trace(path)
            / self._partial.weight(path).numel()
            * self._partial.weight_noise(path, bits)
        )

    def trace(self, path: str) -> float:
        """The curvature's trace of a layer's weights, as far as it is probed; of `hessian`."""
        return float(self._traces[self._layers.index(path)]) / self._steps_done

    def _measure(self, path: str, what: str, bits: int) -> float:
        partial = self._partial
        on = ({path: bits}, {}) if what == "weight" else ({}, {path: bits})
        if self._kind == "kl":
            return partial.divergence(*on)
        if self._kind == "output":
            return partial.output_noise(path, *on)
        if what == "input":
            return partial.input_noise(path, bits)
        return partial.weight_noise(path, bits) / float(partial.weight(path).square().sum())

    def _probe(self) -> float:
        """One mini-batch's estimate of every layer's trace: ‖∇ Σ ±log p(y)‖², whose mean is Σ ‖∇ log p‖².

        The random signs make the images' gradients cancel on average, so that one backward pass does
        for all of them.
        """
        model = self._partial.model
        chunks = self._partial.images.split(CHUNK)
        x = chunks[self._steps_done % len(chunks)]
        weights = [self._partial.weight(path).requires_grad_() for path in self._layers]
        with torch.enable_grad():
            log_p = F.log_softmax(score_rows(model(x)), 1)
            drawn = torch.multinomial(log_p.detach().exp().cpu(), 1, generator=self._rng)
            signs = torch.randint(0, 2, (len(log_p),), generator=self._rng) * 2 - 1
            picked = log_p.gather(1, drawn.to(x.device))[:, 0]
            gradients = torch.autograd.grad((signs.to(x.device) * picked).sum(), weights)
        for weight in weights:
            weight.requires_grad_(False)
        found = torch.stack([g.double().square().sum().cpu() for g in gradients]) / len(x)
        self._traces += found
        return float(found.sum())

    def stand_in(self) -> None:
        """Numbers that fall with the bits for all that is not measured, so that a table can be solved now."""
        for k, (path, what, bits) in enumerate(self._entries):
            self._measured.setdefault(f"{path}.{what}/{bits}", (1 + k) * 4.0**-bits)

    def state_dict(self) -> dict[str, Any]:
        return {
            "sensitivities": dict(self._measured),
            "traces": self._traces.clone(),
            "steps_done": self._steps_done,
            "rng": self._rng.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        measured = (
            state["sensitivities"] if "sensitivities" in state else state["harms"]
        )  # as older versions called them
        self._measured, self._traces = dict(measured), state["traces"].clone()
        self._steps_done = state["steps_done"]
        self._rng.set_state(state["rng"])
