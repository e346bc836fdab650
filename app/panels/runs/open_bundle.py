"""A bundle brought from elsewhere: it becomes a run among the runs, to be looked at on every page."""

import subprocess
from typing import Any

import streamlit as st

from app.access.uploads import most_mb, uploaded
from app.access.visitors import own_mark
from app.links.onward import lead_to, onward
from app.run_files.run_folders import runs_folder
from app.wording.words import plain
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.folders.owner import hand_over
from engine.run.subprocess_answer import CommandError, answer_of

PATIENCE_S = 120
MOST_MB = 512  # what a bundle may unpack to, so no good one is larger
TRIED = "bundle-tried"  # of the session: the upload that was looked into, and what came of it


def open_bundle() -> None:
    """The button with its field; what was dropped is opened at once, or refused in a line."""
    with st.popover("Open a bundle", icon=":material/unarchive:", key="open-bundle"):
        upload = st.file_uploader(
            "Drop a bundle (.zsq)", type=["zsq"], max_upload_size=min(most_mb(), MOST_MB),
            key="bundle-upload",
            help="Whoever has the run makes it under Take away. It is a whole run to look at, without its "
            "network: nothing is computed.",
        )  # fmt: skip
        if upload is None:
            st.caption(
                "Every page then shows the run as it was. A bundle is data: it is looked through before "
                "anything of it is kept, and nothing in it is executed."
            )
            return
        tried = st.session_state.get(TRIED, (None, ""))
        if tried[0] != upload.file_id:  # a refused one is not looked into again at every click
            tried = (upload.file_id, _opened(upload))
            st.session_state[TRIED] = tried
        st.error(plain(tried[1]))


def _opened(upload: Any) -> str:
    """Goes to the run; returns why it cannot be opened."""
    way = onward()
    try:
        with st.spinner("Looking through it…"), uploaded(upload).file() as file:
            folder = open_in_process(str(file))
    except UserError as error:
        return str(error)
    except (CommandError, OSError, subprocess.TimeoutExpired) as error:
        return f"The bundle could not be opened: {getattr(error, 'line', error)}"
    return lead_to(way, run=folder.run_id)


def open_in_process(file: str) -> RunFolder:
    """The run that the bundle became, its opener's; looked through in a process, which may break alone."""
    owner, runs = own_mark(), runs_folder()
    answer = answer_of("open", file, "--runs", str(runs), "--json", patience_s=PATIENCE_S)
    folder = RunFolder.open(runs, answer["run"])
    hand_over(folder.path, owner)
    return folder
