"""What the widgets of New run begin with does not hang on one drawing of the page."""

from pathlib import Path
from typing import Any

from tests.app.new_run.test_new_run import dialog


def test_every_widget_tells_itself_what_it_begins_with(runs: Path) -> None:
    """The session tells it with one drawing only; where that is given up, a menu would stand empty."""
    at = dialog(expert=True)
    kinds = (at.slider, at.number_input, at.text_input, at.selectbox, at.toggle)
    own = [one for kind in kinds for one in kind if str(one.key).startswith(("new-", "knob-"))]
    assert {one.type for one in own} >= {"slider", "number_input", "text_input", "selectbox"}
    for one in own:
        assert not one.proto.set_value, one.key
        first: Any = one.proto.default
        if one.type == "selectbox":
            first = one.options[first]
            assert first == one.format_func(one.value), one.key
        elif one.value is not None:
            assert (list(first) if one.type == "slider" else first) in (one.value, [one.value]), (
                one.key
            )
    effort = at.button_group(key="new-1-preset")
    assert [effort.options[k] for k in effort.proto.default] == ["Quick"]
