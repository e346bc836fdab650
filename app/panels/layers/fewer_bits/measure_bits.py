"""The fader's bits measured for real, beside the page: predicted and measured stand side by side."""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.engine_calls.background import Answer, ask, is_asked
from app.panels.layers.fewer_bits.bit_choice import Pair
from app.panels.shared.press import button
from app.wording.engine_words import page_text
from engine.core.errors import UserError
from engine.core.percent import BAND, percent
from engine.run.folders.folder import RunFolder
from engine.run.questions.why import answers

KIND = answers.TRIAL
WHAT = (
    "Rounds the whole network to the nearest at exactly these bits and looks at 200 test images: half a "
    "minute or more, beside whatever else you do here. It is kept."
)


def at_bits(bits: Mapping[str, Pair]) -> dict[str, dict[str, int]]:
    """The bits of every layer, as a recipe names them."""
    return {
        "weight_bits": {path: w for path, (w, _) in bits.items()},
        "activation_bits": {path: a for path, (_, a) in bits.items() if a is not None},
    }


def tried(folder: RunFolder, bits: Mapping[str, Pair]) -> Answer | None:
    """What was measured at these bits; None where nobody has asked since the app was started."""
    return _look(_key(folder, bits))


def measure_button(folder: RunFolder, bits: Mapping[str, Pair]) -> None:
    """Asks for it; the page is drawn again when it is there."""
    answer = tried(folder, bits)
    if answer is not None and not answer.error:
        return
    if button("Measure it", icon=":material/straighten:", key="fader-measure", help=WHAT):
        at = at_bits(bits)
        ask(KIND, _key(folder, bits), lambda: answers.trial(folder, at))
        pending: set[str] = st.session_state.setdefault(KIND, set())
        pending.add(_key(folder, bits))
        st.rerun()  # all of the page: what looks again stands at its end


def is_measuring() -> bool:
    """Whether this visitor waits for bits to be measured."""
    pending: set[str] = st.session_state.setdefault(KIND, set())
    for key in list(pending):
        answer = _look(key)
        if answer is None or not answer.is_pending:
            pending.discard(key)
    return bool(pending)


def measured_words(folder: RunFolder, bits: Mapping[str, Pair]) -> str:
    """What came of it, or that it is on its way; empty where nobody has asked."""
    answer = tried(folder, bits)
    if answer is None:
        return ""
    if answer.error:
        return page_text(answer.error)
    if answer.is_pending:
        return "These bits are being measured…"
    found: dict[str, Any] = answer.value
    low, high = found["agreement_band"]
    words = (
        f"Measured with nearest rounding: **{found['kl']:.3g} nats**, {percent(found['agreement'])} of "
        f"{found['images']:,} answers stay ({percent(low)} to {percent(high)}, {BAND})."
    )
    own = found["own"]
    if own["kl"] == found["kl"]:
        return words
    return f"{words} The run's own bits, rounded alike: {own['kl']:.3g} nats, {percent(own['agreement'])}."


def _look(key: str) -> Answer | None:
    """What is known by now; None where the question was not put."""
    return ask(KIND, key, _not_put) if is_asked(KIND, key) else None


def _not_put() -> Any:
    raise UserError("this was not asked; ask it again")


def _key(folder: RunFolder, bits: Mapping[str, Pair]) -> str:
    return f"{folder.path}:{json.dumps(at_bits(bits), sort_keys=True)}"
