"""Files of a run that cannot be read: found before they are used, set aside, told, made again. No torch.

Nothing that another file still vouches for is thrown away: what is set aside keeps its bytes, under its
name with `.damaged` behind.
"""

from collections.abc import Iterator
from pathlib import Path
from zipfile import is_zipfile

from safetensors import SafetensorError, safe_open

from engine.core.events import Event, Noted, SnapshotSaved
from engine.run.folders.files import set_aside
from engine.run.folders.folder import RunFolder

STUDENT_FILE = "student.safetensors"


def is_whole(file: Path) -> bool:
    """Whether a safetensors file is there, and as long as its head says."""
    try:
        with safe_open(file, framework="numpy") as tensors:
            return bool(list(tensors.keys()))
    except (OSError, SafetensorError, ValueError):
        return False


def images_of(file: Path) -> tuple[int, ...]:
    """The shape of a file's images; empty where it cannot be read, or has none."""
    try:
        with safe_open(file, framework="numpy") as tensors:
            return tuple(tensors.get_slice("images").get_shape())
    except (OSError, SafetensorError, ValueError):
        return ()


def quarantined(file: Path, why: str = "could not be read") -> Noted:
    """Set the file aside, and say so."""
    kept = set_aside(file)
    return Noted(message=f"{file.name} {why}; it was set aside as {kept.name} and is made again.")


def torn(file: Path) -> Iterator[Noted]:
    """Set the file aside where it is there and cannot be read."""
    if file.exists() and not is_whole(file):
        yield quarantined(file)


def unsound_images(folder: RunFolder, sizes: list[int], *, with_student: bool) -> list[Path]:
    """The files of finished batches that have to be made again, in order; `sizes`: images in each.

    Where a batch leaves something for the next to know, or trains weights beside its images, one that is
    damaged means all: what came behind it cannot be made from what is left.
    """
    files = {k: folder.path / f"images-{k:03d}.safetensors" for k in range(len(sizes))}
    there = {k: file for k, file in files.items() if file.exists()}
    damaged = [k for k, file in there.items() if images_of(file)[:1] != (sizes[k],)]
    memories, student = sorted(folder.path.glob("memory-*.pt")), folder.path / STUDENT_FILE
    lost = bool(there) and with_student and not is_whole(student)
    lost = lost or not all(is_zipfile(file) for file in memories)
    if not lost and not (damaged and (memories or with_student)):
        return [files[k] for k in damaged]
    return [*there.values(), *(file for file in (student, *memories) if file.exists())]


def can_lend(source: RunFolder) -> bool:
    """Whether another run can take over all images of this one, none of them torn or missing."""
    files = sorted(source.path.glob("images-*.safetensors"))
    shapes = [images_of(file) for file in files]
    recipe = source.recipe
    if not shapes or not all(shapes) or sum(shape[0] for shape in shapes) != recipe.images:
        return False
    co_trained = bool(recipe.synthesis_settings.get("co_training"))
    return is_whole(source.path / STUDENT_FILE) if co_trained else True


def lent_snapshot(event: Event, source: RunFolder, folder: RunFolder) -> bool:
    """Copy an event's file, if it has one; False where it is not there any more, or empty."""
    if not isinstance(event, SnapshotSaved):
        return True
    try:
        content = source.snapshot(event.file).read_bytes()
    except (OSError, ValueError):
        return False
    if content:
        folder.snapshot(event.file).write_bytes(content)
    return bool(content)
