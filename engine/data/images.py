"""Real images: to judge networks with, and to compare synthetic images with."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.core.errors import UserError
from engine.data.datasets import Part, find_arrays
from engine.data.idx import read_idx
from engine.data.image_folders import list_folder, printable, root_of
from engine.data.labelling.classes import Classes
from engine.data.pixels.half_size import halved as halves_of
from engine.data.pixels.high_bit_depth import scale_of
from engine.data.pixels.pixel_range import Shades, note_on
from engine.data.pixels.reading import in_threads, look_at, read_arrays, read_files

Read = Callable[[int, int], NDArray[np.uint8]]  # first, behind last -> [n, channels, height, width]


class ImageSet:
    """Images in a fixed order, decoded when asked for; labels, where there are any, in the same."""

    def __init__(
        self,
        name: str,
        read: Read,
        count: int,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        labels: Tensor | None = None,
        skipped: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.labels = labels  # int64, or None
        self.truth: ImageSet | None = None  # what a network should make of them, where it is known
        self.skipped = list(skipped)  # "file: why" of what could not be read
        self.notes = list(notes)  # sentences on how the labels were read
        self.pixel_notes: list[str] = []  # and on how the pixels were
        self._read = read
        self._count = count
        self._mean = torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)
        self._std = torch.tensor(std, dtype=torch.float32).view(-1, 1, 1)

    def __len__(self) -> int:
        return self._count

    @property
    def reading_notes(self) -> list[str]:
        """Sentences on what of their files was read, and how; nothing of labels."""
        few = (
            f"{len(self.skipped)} files of {self.name} were skipped: {', '.join(self.skipped[:5])}"
        )
        return [*([few] if self.skipped else []), *self.pixel_notes]

    def batches(self, size: int) -> Iterator[Tensor]:
        """Normalised float32 [n, channels, height, width], n = `size` but for the last."""
        for start in range(0, len(self), size):
            yield self._normalised(start, min(start + size, len(self)))

    def first(self, n: int) -> Tensor:
        """The first n images (or all, if there are fewer), normalised."""
        return self._normalised(0, min(n, len(self)))

    def at(self, places: Sequence[int]) -> Tensor:
        """The images at these places, normalised."""
        return torch.cat([self._normalised(place, place + 1) for place in places])

    def sample_indices(self, wanted: int) -> list[int]:
        """Places of so many images from all over the set; always the same ones, in order."""
        # Not every k-th: images that are stored class by class, or in turn, would be of few classes.
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(0))
        return sorted(order[:wanted].tolist())

    def pixels(self, images: Tensor) -> Tensor:
        """Normalised images [n, channels, ...] as pixels, of which 0 is black and 1 is white."""
        return images * self._std + self._mean

    def _normalised(self, start: int, stop: int) -> Tensor:
        pixels = torch.from_numpy(self._read(start, stop))
        return (pixels.float() / 255 - self._mean) / self._std


def open_idx(
    images_file: Path,
    labels_file: Path | None,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    name: str,
    only: Sequence[int] = (),
    halved: bool = False,
) -> ImageSet:
    """The grey images of an IDX file, with the labels of another; `only` of these labels, where named.

    `halved`: at half of their size, with what they were as their truth.
    """
    pixels = read_idx(images_file)[:, None]
    labels = None
    if labels_file is not None:
        labels = torch.from_numpy(read_idx(labels_file).astype(np.int64))
        if len(labels) != len(pixels):
            raise UserError(
                f"{labels_file.name} has {len(labels)} labels, {images_file.name} {len(pixels)} "
                "images; name two files that belong together"
            )
        if only:
            kept = np.isin(labels.numpy(), only)
            pixels, labels = pixels[kept], labels[torch.from_numpy(kept)]

    def read(start: int, stop: int) -> NDArray[np.uint8]:
        return pixels[start:stop].copy()  # the file's own memory is read-only, which torch dislikes

    def read_halved(start: int, stop: int) -> NDArray[np.uint8]:
        small: NDArray[np.uint8] = halves_of(torch.from_numpy(read(start, stop))).numpy()
        return small

    whole = ImageSet(name, read, len(pixels), mean=mean, std=std, labels=labels)
    if not halved:
        return whole
    small = ImageSet(name, read_halved, len(pixels), mean=mean, std=std, labels=labels)
    small.truth = whole
    return small


def open_folder(
    folder: Path,
    *,
    image_shape: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
    resize: int,
    interpolation: str = "bicubic",
    classes: Sequence[str] | Classes | None = (),
    part: Part = "test",
) -> ImageSet:
    """The images of a folder, brought to the network's shape.

    Which images and labels: see `engine.data.image_folders`, for well-known sets `engine.data.datasets`; how
    they are resized: `engine.data.pixels.decode`. `classes` are the names of the network's, to which
    labels in words refer, or all that is known of them (None: labels are not looked at); `part` is
    taken where the folder holds both halves of a set.
    Every file is looked through once now, so that broken ones are known and labels stay aligned;
    pixels are read again batch by batch. UserError where no image can be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one that holds images")
    arrays = find_arrays(folder, part)
    if arrays is not None:
        found = arrays()
        read = partial(read_arrays, found.pixels, image_shape, resize, interpolation)
        return ImageSet(
            found.name, read, len(found.pixels), mean=mean, std=std,
            labels=torch.from_numpy(found.labels),
        )  # fmt: skip
    root = root_of(folder, part)
    if classes is not None and not isinstance(classes, Classes):
        classes = Classes(tuple(classes))
    listing = list_folder(root, classes, within=folder)
    listed = listing.entries
    if not listed and listing.skipped:
        raise UserError(
            f"none of the images in {folder} can be taken: {listing.skipped[0]}; give some that can"
        )
    if not listed:
        raise UserError(f"{folder} holds no images; put class folders or image files into it")
    seen = in_threads(partial(look_at, image_shape, resize), [entry.path for entry in listed])
    entries = [entry for entry, one in zip(listed, seen, strict=True) if isinstance(one, Shades)]
    skipped = [
        f"{printable(entry.path.relative_to(root))}: {fault}"
        for entry, fault in zip(listed, seen, strict=True)
        if isinstance(fault, str)
    ]
    skipped += listing.skipped
    if not entries:
        raise UserError(
            f"none of the {len(listed)} images in {folder} can be read: {skipped[0]}; give some that can"
        )
    shades = [one for one in seen if isinstance(one, Shades)]
    divisor, pixel_note = scale_of((one.wide for one in shades), printable(root.name))
    pixel_note = pixel_note or note_on(shades, printable(root.name))
    read = partial(read_files, entries, image_shape, resize, interpolation, divisor)
    labels = None
    if all(entry.label is not None for entry in entries):
        labels = torch.tensor([entry.label for entry in entries], dtype=torch.int64)
    images = ImageSet(
        printable(root.name), read, len(entries), mean=mean, std=std, labels=labels,
        skipped=skipped, notes=listing.notes,
    )  # fmt: skip
    images.pixel_notes = [pixel_note] if pixel_note else []
    return images
