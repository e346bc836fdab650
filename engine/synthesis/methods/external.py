"""Images made elsewhere: a folder, for instance of faces that a generator has drawn.

Boutros et al., "QuantFace: Towards Lightweight Face Recognition by Synthetic Data Low-bit Quantization",
ICPR 2022, arXiv:2206.10526, quantizes face recognition with faces from a pretrained generator and nothing
else. Its other half is an objective, to match the embeddings of teacher and student (no classes, no
labels): that is a quantizer's part, not this one's.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.core.errors import UserError
from engine.core.method import MethodCard, Settings, knob
from engine.data.images import open_folder
from engine.synthesis.base import Request, SynthesisMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSettings(Settings):
    """Where the images are."""

    folder: str = knob(
        "",
        label="Folder of images",
        help="its images are taken in the order of their names and fitted to the network's size",
    )
    flip: float = knob(
        0.0,
        label="Probability of a flip",
        help="each image is mirrored with this probability (QuantFace: 0.5)",
        low=0, high=1,
    )  # fmt: skip


class External(SynthesisMethod):
    """Takes images from a folder as synthetic ones; nothing is optimised, labels are not looked at."""

    card = MethodCard(
        name="external",
        title="Images from elsewhere",
        summary="A folder of images that another program has made, such as faces from a generator.",
        paper="Boutros et al., QuantFace: Low-bit Quantization by Synthetic Data, ICPR 2022",
        url="https://arxiv.org/abs/2206.10526",
    )
    Settings = ExternalSettings

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        settings = request.settings
        if not settings.folder:
            raise UserError(
                "synthesis 'external' has no folder; give one: --set synthesis.folder=.."
            )
        found = open_folder(
            Path(settings.folder).expanduser(),
            image_shape=(request.shape[1], request.shape[2], request.shape[3]),
            mean=request.mean,
            std=request.std,
            resize=request.resize or request.shape[2],
        )
        stop = request.offset + request.shape[0]
        if len(found) < stop:
            raise UserError(
                f"synthesis 'external' needs {stop} images, and {settings.folder} has {len(found)}; "
                "choose fewer --images"
            )
        images = found.first(stop)[request.offset :]
        mirrored = torch.rand(len(images), generator=request.rng) < settings.flip
        self._images = torch.where(mirrored[:, None, None, None], images.flip(3), images)

    def images(self) -> Tensor:
        return self._images
