"""Whether a run can be asked why, and about how long the answer takes. Imports no torch."""

from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.stages.synthesis.reuse import OTHERS

START_S = 6.0  # a process, the library, both networks
# What a question takes, in passes of one image through one network: for each layer, and besides. Measured
# on the bundled ResNet-20; of `bits` most goes into grids fitted at seven widths.
PASSES = {
    "explain": (16, 400), "predictions": (0, 400), "bits": (3300, 2000), "resources": (0, 400),
    "storage": (0, 100), "ranges": (800, 0), "similarity": (0, 200),
    "sensitivities": (1500, 5000), "tensors": (0, 500),
}  # fmt: skip


def has_student(folder: RunFolder) -> bool:
    """Whether a finished run's student and images lie in its folder; a record has neither."""
    return any(folder.path.glob("blocks/*.safetensors")) and any(
        folder.path.glob("images-*.safetensors")
    )


def refuse_unfinished(folder: RunFolder) -> None:
    """UserError where a run has no student to look at: unfinished, failed, or recorded without its blocks."""
    if folder.result() is None:
        state = folder.status()["state"]
        raise UserError(
            f"run {folder.run_id!r} is not finished (it is {state}) and has no student to look at yet; let "
            f"it end, with `python -m engine resume {folder.run_id}` where nothing is at work on it"
        )
    if not has_student(folder):
        raise UserError(
            f"run {folder.run_id!r} is here as a record alone, without its student and images; run its "
            "recipe again to ask it anything"
        )


def expected_s(folder: RunFolder, command: str, layers: int) -> float | None:
    """About how long an answer takes, by the time that the run took to judge; None where it did not say.

    The run passed all its test images through both networks; a question passes so many more.
    """
    if (
        folder.path / OTHERS
    ).exists():  # the time to judge is mostly that of making what it was judged on
        return None
    result = folder.result() or {}
    judged_s, images = result.get("seconds", {}).get("evaluation"), result.get("test_images")
    if not judged_s or not images:
        return None
    each, besides = PASSES[command]
    passes = each * layers + besides + (2 * min(images, 10_000) if command == "predictions" else 0)
    return START_S + float(judged_s) * passes / (2 * int(images))
