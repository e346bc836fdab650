"""A finished run in the formats asked for, and the proof of what was written."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.answer_files import OF_LAYERS
from engine.export import discover_formats, format_lines, read_codes
from engine.export.base import Finished, Format, Written
from engine.run.folders.folder import RunFolder, write_atomically
from engine.run.questions.why.answers import COMMANDS, kept_answer

Tell = Callable[[int, int, str], None]
FOLDER = "export"  # below the run's, where no other is named


def export(
    folder: RunFolder,
    formats: Sequence[str],
    out: Path | None = None,
    sections: Sequence[str] = (),
    tell: Tell = lambda _done, _total, _what: None,
) -> dict[str, Any]:
    """Write the run's files, {"run", "files": [{"kind", "path", "bytes", "notes"}], "proof"}.

    `sections`: of a report, else all. `out` is made where it is not there; without it files go into the
    run's own folder. `proof` is of the
    ONNX file, see engine.run.exports.proof, and None without one. UserError for a run that is not finished,
    or what a format cannot say.
    """
    chosen = _chosen(formats)
    run, student = finished(folder, sections)
    place = _made(out if out is not None else folder.path / FOLDER)
    written: list[Written] = []
    proof = None
    try:
        for done, (name, kind) in enumerate(chosen.items()):
            tell(done, len(chosen), name)
            files = kind().write(run, place)
            if name == "onnx":
                proof, file = _proof(student, files[0], place, folder, tell)
                files.append(file)
            written += files
    except OSError as error:
        raise UserError(
            f"{error.filename or place} cannot be written: {error.strerror}; give another --out"
        ) from error
    listed = [
        {"kind": one.kind, "path": str(one.path), "bytes": one.bytes, "notes": list(one.notes)}
        for one in written
    ]
    return {"run": folder.run_id, "files": listed, "proof": proof}


def finished(folder: RunFolder, sections: Sequence[str] = ()) -> tuple[Finished, "Student"]:
    """The run as formats take it, and its student; UserError where it is not finished."""
    result = folder.result()
    if result is None:
        raise UserError(
            f"run {folder.run_id!r} is not finished and has nothing to take away yet; let it end, with "
            f"`python -m engine resume {folder.run_id}` where nothing is at work on it"
        )
    student = Student(folder)
    run = Finished(
        run=folder.run_id, folder=folder.path, recipe=asdict(folder.recipe), result=result,
        sections=tuple(sections), answers=_answers(folder),
        network=lambda: student.network,
    )  # fmt: skip
    return run, student


def _answers(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """What was asked of the run, by the question."""
    found = {command: kept_answer(folder, command) for command in COMMANDS}
    for layer in (folder.result() or {}).get("layers", []):
        found[f"{OF_LAYERS} {layer['path']}"] = kept_answer(folder, OF_LAYERS, layer["path"])
    return {command: answer for command, answer in found.items() if answer is not None}


class Student:
    """The run's network, loaded when first asked for."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    @cached_property
    def loaded(self) -> tuple[Any, Any]:
        from engine.core import device as devices
        from engine.run.context import make_context
        from engine.run.folders.control import Control
        from engine.run.stages.quantization.quantize import load_student

        if not any((self._folder.path / "blocks").glob("*.safetensors")):
            raise UserError(
                f"run {self._folder.run_id!r} has kept no network (a recorded or opened run has its events "
                "and pictures alone); run its recipe again, and export that"
            )
        control = Control(self._folder.path, lambda _state: None)
        context = make_context(self._folder.recipe, self._folder, control, devices.choose())
        return context, load_student(context)

    @cached_property
    def network(self) -> Any:
        from engine.run.exports.plain import plain_network

        return plain_network(*self.loaded)


def _chosen(formats: Sequence[str]) -> dict[str, type[Format]]:
    known = format_lines()
    ways = ", ".join(f"--{name}" for name in known)
    if not formats:
        raise UserError(f"nothing is asked for; name what to take away: {ways}")
    for name in formats:
        if name not in known:
            raise UserError(f"format {name!r} is not known; choose of {', '.join(known)}")
    found = discover_formats()
    # A report tells of the proof of a file that is written with it.
    order = sorted(dict.fromkeys(formats), key=lambda name: not found[name].card.needs_network)
    return {name: found[name] for name in order}


def _made(place: Path) -> Path:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--out {place} cannot be made: {error.strerror}; give another folder"
        ) from error
    return place


def _proof(
    student: Student, onnx: Written, place: Path, folder: RunFolder, tell: Tell
) -> tuple[dict[str, Any], Written]:
    """The proof of the ONNX file, and the file that it is written to."""
    from engine.run.exports.proof import prove

    context, network = student.loaded
    proof = prove(context, network, student.network, onnx, tell)
    path = place / f"{folder.run_id}.proof.json"
    kept = folder.path / FOLDER / path.name  # with the run too: its next report tells of it
    kept.parent.mkdir(exist_ok=True)
    for file in {path, kept}:
        write_atomically(file, json.dumps(proof, indent=1).encode())
    return proof, Written(kind="proof", path=path)


def loader() -> str:
    """The script that reads exported codes without this project, as text."""
    return Path(read_codes.__file__).read_text()
