"""Control: real images, the ones that zero-shot quantization does without."""

from dataclasses import dataclass

from torch import Tensor

from engine.core.errors import UserError
from engine.core.method import MethodCard, Settings
from engine.synthesis.base import Request, SynthesisMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class RealSettings(Settings):
    """Nothing to choose."""


class Real(SynthesisMethod):
    """As many real training images: the ceiling to compare with."""

    card = MethodCard(
        name="real",
        title="Real images (control)",
        summary="No synthesis at all: real images. What having no data costs is measured against this.",
        paper="",
        needs=("real-images",),
    )
    Settings = RealSettings

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        assert request.real is not None  # the card asks for them
        wanted, there = request.shape[0], len(request.real)
        if there < wanted:
            raise UserError(
                f"synthesis 'real' needs {wanted} real images, and there are {there}; "
                "give a folder with --set model.calibration=FOLDER or choose fewer --images"
            )
        self._images = request.real

    def images(self) -> Tensor:
        return self._images
