"""What a report is told from: a run's own files, read once."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from app.wording.data_words import bits_of
from engine.core.errors import UserError
from engine.core.outside.reading import read_object
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.answers import kept_answer
from engine.run.recipes.recipe import Recipe

Event = dict[str, Any]


@dataclass(frozen=True)
class Story:
    """A finished run."""

    folder: RunFolder
    recipe: Recipe
    result: dict[str, Any]
    proof: dict[str, Any] | None  # of its ONNX file, where one was written

    @cached_property
    def events(self) -> list[Event]:
        """The run's events in order; torn lines are left out."""
        found = []
        for _, line in self.folder.lines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                found.append(event)
        return found

    def of(self, kind: str, **fields: Any) -> list[Event]:
        """The events of a kind whose fields have these values."""
        return [
            e for e in self.events
            if e.get("kind") == kind and all(e.get(k) == v for k, v in fields.items())
        ]  # fmt: skip

    @property
    def bits(self) -> str:
        return bits_of(self.recipe)

    @property
    def started(self) -> Event:
        return next(iter(self.of("run-started")), {"bn_layers": [], "blocks": [], "layers": []})

    @property
    def measured(self) -> list[Event]:
        """One measurement a layer, the latest."""
        return list({event["path"]: event for event in self.of("layer-measured")}.values())

    def shots(self, most: int) -> list[tuple[int, Path]]:
        """(step, file) of the pictures of the images, thinned to so many; the last stays."""
        steps = {e["step"]: e["file"] for e in self.of("snapshot-saved", name="images")}
        files = [(step, self.folder.snapshot(name)) for step, name in sorted(steps.items())]
        there = [(step, file) for step, file in files if file.is_file()]
        kept = there[:: max(1, -(-len(there) // most))]
        return kept if not there or kept[-1] == there[-1] else [*kept, there[-1]]

    def answer(self, question: str) -> dict[str, Any] | None:
        """What was found of the run when somebody asked this, where somebody did."""
        return kept_answer(self.folder, question)

    @property
    def analysis(self) -> dict[str, Any] | None:
        """What each layer's bits cost, where that was asked."""
        found = read_object(self.folder.path / "analysis.json")
        return found if found and found.get("layers") else None


def read_story(folder: Path, proof: Path | None) -> Story:
    """The run in the folder; UserError where it is not finished."""
    run = RunFolder(folder)
    result = run.result()
    if result is None:
        raise UserError(
            f"run {run.run_id!r} is not finished; let it end, with `python -m engine "
            f"resume {run.run_id}` where nothing is at work on it"
        )
    return Story(run, run.recipe, result, read_object(proof) if proof else None)
