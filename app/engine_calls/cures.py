"""Do it all: starting and stopping the doctor's course of changes for a run, and how far it has come."""

from dataclasses import dataclass
from typing import Any

from app.access.visitors import check_control, own_mark
from engine.run.folders.folder import RunFolder
from engine.run.folders.owner import claim
from engine.run.questions.doctor.cure import kept, process


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What was tried so far, in order, and the numbers of the run and of the best one since."""

    steps: list[dict[str, Any]]
    doing: str  # kept.LOOKS, kept.TRIES, or nothing
    best: str  # the name of its run
    ended: str  # why it ended; nothing where it did not
    through: bool  # whether nothing is left to do
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    at_work: bool


def course_of(folder: RunFolder) -> Course | None:
    """How far it has come; None where it was never begun."""
    found = kept.kept_cure(folder)
    if found is None:
        return None
    numbers = kept.numbers_of(folder, found)
    at_work = bool(found["doing"]) and process.is_at_work(folder)
    return Course(
        steps=found["steps"], doing=found["doing"] if at_work else "", best=found["run"],
        ended=found["ended"], through=bool(found.get("through")),
        before=numbers["before"], after=numbers["after"], at_work=at_work,
    )  # fmt: skip


def start_cure(folder: RunFolder) -> None:
    """Begin, or go on; UserError where it is somebody else's."""
    place = kept.place_of(folder)
    claim(place, own_mark(), made=kept.FILE)
    check_control(place, "This course of changes")
    process.begin(folder)


def stop_cure(folder: RunFolder) -> None:
    """End it and the run that it has begun; what is finished stays. UserError where it is somebody else's."""
    check_control(kept.place_of(folder), "This course of changes")
    process.stop(folder)
