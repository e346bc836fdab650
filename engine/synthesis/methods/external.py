"""Images made elsewhere: a folder, or a program's own, for instance faces that a generator draws.

Boutros et al., "QuantFace: Towards Lightweight Face Recognition by Synthetic Data Low-bit Quantization",
ICPR 2022, arXiv:2206.10526, quantizes face recognition with faces from a pretrained generator and nothing
else. Its other half is an objective, to match the embeddings of teacher and student (no classes, no
labels): that is a quantizer's part (`EmbeddingDistance` in engine/quantization/reconstruction/objectives.py).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.core.errors import UserError
from engine.core.method import MethodCard, Settings, knob
from engine.core.outside.own_code import is_own
from engine.data.images import open_folder
from engine.data.own_images import images_from
from engine.synthesis.base import Request, SynthesisMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSettings(Settings):
    """Where the images are."""

    folder: str = knob(
        "",
        label="Folder of images",
        help="its images are taken in the order of their names and fitted to the network's size; on the "
        "command line also FILE.py:FACTORY, a function that returns an iterator of images",
    )
    flip: float = knob(
        0.0,
        label="Probability of a flip",
        help="each image is mirrored with this probability (QuantFace: 0.5)",
        low=0, high=1, off=0.0,
    )  # fmt: skip


class External(SynthesisMethod):
    """Takes images of a folder or an iterator as synthetic ones; nothing is optimised, no label looked at."""

    card = MethodCard(
        name="external",
        title="Images from elsewhere",
        summary="Images that another program makes, such as faces from a generator: a folder or an iterator.",
        paper="Boutros et al., QuantFace: Low-bit Quantization by Synthetic Data, ICPR 2022",
        url="https://arxiv.org/abs/2206.10526",
    )
    Settings = ExternalSettings
    at_once = True  # a generator draws each image once, and need not draw the same ones again

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        settings = request.settings
        if not settings.folder:
            raise UserError(
                "synthesis 'external' has no folder; give one: --set synthesis.folder=.."
            )
        stop = request.offset + request.shape[0]
        images = (
            _generated(request, stop) if is_own(settings.folder) else self._lying(request, stop)
        )[request.offset :]
        mirrored = torch.rand(len(images), generator=request.rng) < settings.flip
        self._images = torch.where(mirrored[:, None, None, None], images.flip(3), images)

    def images(self) -> Tensor:
        return self._images

    def _lying(self, request: Request, count: int) -> Tensor:
        folder = request.settings.folder
        found = open_folder(
            Path(folder).expanduser(), image_shape=_shape(request), mean=request.mean,
            std=request.std, resize=request.resize or request.shape[2], classes=None,
        )  # fmt: skip
        self.notes += found.reading_notes
        if len(found) < count:
            raise UserError(
                f"synthesis 'external' needs {count} images, and {folder} has {len(found)}; "
                "choose fewer --images"
            )
        return found.first(count)


def _generated(request: Request, count: int) -> Tensor:
    return images_from(
        request.settings.folder, count, image_shape=_shape(request), mean=request.mean,
        std=request.std, resize=request.resize or request.shape[2],
    )  # fmt: skip


def _shape(request: Request) -> tuple[int, int, int]:
    return request.shape[1], request.shape[2], request.shape[3]
