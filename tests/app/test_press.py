"""A press is kept until its button is drawn, however often the page is drawn anew before."""

from streamlit.testing.v1 import AppTest

from app.panels.shared import press


def page() -> None:
    import streamlit as st

    from app.panels.shared.press import button

    if st.session_state.pop("interrupt", False):
        st.rerun()  # as another request does: the press belongs to a drawing that was given up
    if button("Start", key="start"):
        st.session_state["started"] = st.session_state.get("started", 0) + 1


def test_a_press_survives_a_drawing_that_is_given_up() -> None:
    at = AppTest.from_function(page).run()
    at.session_state["interrupt"] = True
    at.button(key="start").click().run()
    assert at.session_state["started"] == 1
    at.run()
    assert at.session_state["started"] == 1, "one press, one start"
    at.button(key="start").click().run()
    assert at.session_state["started"] == 2


def test_a_press_of_a_page_that_was_left_is_forgotten() -> None:
    state = {"pressed-start": press.time.monotonic() - press.KEPT_S - 1}
    assert not press._taken(state, "pressed-start")
    assert state == {}
