"""A student of which only some quantizers are on, to see what those alone do to the predictions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.core.divergence import score_rows
from engine.core.trace import watch_inputs, watch_outputs
from engine.quantization.grids.quantizers import FIT_IMAGES, Makers
from engine.quantization.layers import QuantInput
from engine.quantization.plan import BlockLike, LayerBits
from engine.quantization.student import make_student

CHUNK = 32


class PartialStudent:
    """The student that a plan makes, with every quantizer off until `switched` turns some on.

    An input is known by its owner: the layer that quantizes its own, or the module that quantizes one
    input for several readers. Grids are fitted to the teacher's weights and inputs, once for each width.
    """

    def __init__(
        self,
        teacher: nn.Module,
        blocks: Sequence[BlockLike],
        plan: Mapping[str, LayerBits],
        images: Tensor,
        makers: Makers,
    ) -> None:
        self.model = make_student(teacher, blocks, plan, makers)
        self.images, self._makers = images, makers
        self._quantizers: dict[tuple[str, str, int], Any] = {}
        first = {path: block.paths[0] for block in blocks for path in block.layers}
        self.owner = {path: first[path] if plan[path].by_block else path for path in plan}
        for path in plan:
            layer: Any = self.model.get_submodule(path)
            layer.weight_quantizer = layer.input_quantizer = None
        for module in self.model.modules():
            if isinstance(module, QuantInput):
                module.input_quantizer = nn.Identity()  # type: ignore[assignment]
        self._wanted = self.logits()
        self._calls: tuple[str, list[Tensor], list[Tensor]] = ("", [], [])  # path, read, given

    @torch.no_grad()
    def logits(self) -> Tensor:
        """Of all images, by what is on now."""
        return torch.cat([self.model(chunk) for chunk in self.images.split(CHUNK)])

    def weight(self, path: str) -> Tensor:
        """The float weight of a layer."""
        layer: Any = self.model.get_submodule(path)
        weight: Tensor = layer.float_weight
        return weight

    @contextmanager
    def switched(
        self, weights: Mapping[str, int], inputs: Mapping[str, int] | None = None
    ) -> Iterator[None]:
        """Inside, these layers' weights and these owners' inputs have so many bits, all else is float."""
        on = [(path, "weight", bits) for path, bits in weights.items()]
        on += [(owner, "input", bits) for owner, bits in (inputs or {}).items()]
        quantizers = [self.fitted(*one) for one in on]  # before any is on: fitted to the teacher
        kept = [
            self._put(path, what, one) for (path, what, _), one in zip(on, quantizers, strict=True)
        ]
        try:
            yield
        finally:
            for (path, what, _), one in zip(on, kept, strict=True):
                self._put(path, what, one)

    def divergence(
        self, weights: Mapping[str, int], inputs: Mapping[str, int] | None = None
    ) -> float:
        """KL(teacher ‖ student with these alone quantized), mean over the images, in nats."""
        with self.switched(weights, inputs):
            p = F.log_softmax(score_rows(self._wanted), 1)
            q = F.log_softmax(score_rows(self.logits()), 1)
        return float(F.kl_div(q, p, log_target=True, reduction="batchmean").clamp_min(0))

    @torch.no_grad()
    def weight_noise(self, path: str, bits: int) -> float:
        """Σ (W − Q(W))² of a layer."""
        weight = self.weight(path)
        return float((weight - self.fitted(path, "weight", bits)(weight)).square().sum())

    @torch.no_grad()
    def input_noise(self, owner: str, bits: int) -> float:
        """Noise over signal of an input, on the images that its grid is fitted to."""
        x = self._inputs(owner)
        noise = x - self.fitted(owner, "input", bits)(x)
        return float(noise.square().sum() / x.square().sum().clamp_min(1e-12))

    @torch.no_grad()
    def output_noise(
        self, path: str, weights: Mapping[str, int], inputs: Mapping[str, int] | None = None
    ) -> float:
        """Noise over signal of what the module at `path` gives, with these alone quantized; all its calls.

        A layer is run by itself, on what it reads of the images that grids are fitted to.
        """
        if self._calls[0] != path:  # widths of one layer are asked for in turn: one is kept
            read: list[Tensor] = []
            with watch_inputs(self.model, [path], lambda _, x: read.append(x.clone())):
                self.model(self.images[:FIT_IMAGES])
            self._calls = (path, read, self._given(path, read))
        _, read, wanted = self._calls
        with self.switched(weights, inputs):
            given = self._given(path, read)
        noise = sum(
            float((y - z).double().square().sum()) for y, z in zip(wanted, given, strict=True)
        )
        return noise / max(1e-12, sum(float(y.double().square().sum()) for y in wanted))

    def _given(self, path: str, read: Sequence[Tensor]) -> list[Tensor]:
        """What a module gives for each of its calls; a block, which may be given more, in its place."""
        module = self.model.get_submodule(path)
        if not isinstance(module, QuantInput):
            return [module(x) for x in read]
        seen: list[Tensor] = []
        with watch_outputs(self.model, [path], lambda _, y: seen.append(y.clone())):
            self.model(self.images[:FIT_IMAGES])
        return seen

    def _put(self, path: str, what: str, quantizer: Any) -> Any:
        """Put a quantizer in its place; what was there before."""
        module: Any = self.model.get_submodule(path)
        name = f"{what}_quantizer"
        before = getattr(module, name)
        setattr(module, name, quantizer)
        return before

    @torch.no_grad()
    def fitted(self, path: str, what: str, bits: int) -> Any:
        """The grid of a layer's "weight", or an owner's "input", at so many bits, fitted to the teacher."""
        key = (path, what, bits)
        if key not in self._quantizers:
            made = (
                self._makers.weights(bits) if what == "weight" else self._makers.activations(bits)
            )
            made.fit(self.weight(path) if what == "weight" else self._inputs(path))
            self._quantizers[key] = made
        return self._quantizers[key]

    @torch.no_grad()
    def _inputs(self, owner: str) -> Tensor:
        """What the owner reads of the first images; all runs side by side where it runs several times."""
        seen: list[Tensor] = []
        with watch_inputs(self.model, [owner], lambda _, x: seen.append(x.clone())):
            self.model(self.images[:FIT_IMAGES])
        return seen[0] if len(seen) == 1 else torch.cat([x.flatten(1) for x in seen], 1)
