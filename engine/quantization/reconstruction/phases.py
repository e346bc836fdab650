"""Several machines one after another, as one machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.method import Losses, Machine, View


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One of the machines: made when the phase before it has ended."""

    steps: int
    begin: Callable[[], Machine]
    end: Callable[[], None] = _nothing


class Phases:
    """A step machine that goes through its phases in order; those of no steps are left out.

    What a phase has changed outside of its machine (settled codes, corrected inputs) is not stored: on
    resuming, each finished phase is begun, put into its last state and ended again, without its steps.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = [phase for phase in phases if phase.steps]
        self.total_steps = sum(phase.steps for phase in self._phases)
        self._finished: list[dict[str, Any]] = []  # the last states of the phases that have ended
        self._taken = 0  # steps of the present phase
        self._machine = self._phases[0].begin()

    def step(self) -> Losses:
        if self._taken == self._phases[len(self._finished)].steps:
            self._end_phase()
        losses = self._machine.step()
        self._taken += 1
        return losses

    def _end_phase(self) -> None:
        self._finished.append(self._machine.state_dict())
        self._phases[len(self._finished) - 1].end()
        self._machine = self._phases[len(self._finished)].begin()
        self._taken = 0

    def flipped(self) -> float:
        """The share of codes that differ from nearest rounding, where the present phase knows it."""
        known = getattr(self._machine, "flipped", None)
        return 0.0 if known is None else float(known())

    def views(self) -> Sequence[View]:
        """What the present phase shows of itself; nothing where it cannot."""
        shown = getattr(self._machine, "views", None)
        return () if shown is None else tuple(shown())

    def state_dict(self) -> dict[str, Any]:
        return {
            "finished": list(self._finished),
            "present": self._machine.state_dict(),
            "taken": self._taken,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if len(self._finished) > len(state["finished"]):
            raise ValueError(
                "a phase that has ended cannot be taken back; load into a fresh machine"
            )
        for saved in state["finished"][len(self._finished) :]:
            self._machine.load_state_dict(saved)
            self._end_phase()
        self._machine.load_state_dict(state["present"])
        self._taken = state["taken"]
