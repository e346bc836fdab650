"""The first step of bringing a network: its file, and what was found in it."""

from typing import Any

import streamlit as st

from app.access.uploads import Source, by_path, most_mb, uploaded
from app.panels.shared.agree import agreed
from app.wording.engine_words import page_text
from app.wording.words import plain, size_words
from engine.core.errors import UserError
from engine.run import networks

KINDS = ["pth", "pt", "th", "bin", "ckpt", "tar", "safetensors"]


def file_step() -> tuple[Source, dict[str, Any]] | None:
    """The file and what is in it; None while there is none, or nothing of use in it."""
    st.subheader("1 · The checkpoint")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        upload = st.file_uploader(
            "Drop a checkpoint",
            type=KINDS,
            max_upload_size=most_mb(),
            key="bring-upload",
            help=f"A state_dict as .safetensors or .pth, up to {most_mb():,} MB. Nothing in it is executed.",
        )
    with right:
        text = st.text_input(
            "… or its path on the machine that runs this",
            key="bring-path",
            placeholder="/home/me/resnet20.pth",
            help="For files that are there already, up to 4 GiB.",
        )
    try:
        source = uploaded(upload) if upload is not None else by_path(text)
        if source is None:
            st.caption(
                "A checkpoint is data: it is read as tensors, whatever else is in it is refused. "
                "An upload is deleted as soon as it has been looked at."
            )
            return None
        if source.path is not None and not agreed({source.key: text}, key="bring-files"):
            return None
        found = _inspected(source)
    except UserError as error:
        st.error(page_text(error))
        return None
    _show(source, found)
    return (source, found) if found["proposal"] else None


def _inspected(source: Source) -> dict[str, Any]:
    """What the engine found; asked once for each file."""
    kept: dict[str, Any] = st.session_state.setdefault("bring-found", {})
    if source.key not in kept:
        with st.spinner("Looking what it is…", show_time=True), source.file() as path:
            kept.clear()
            kept[source.key] = networks.inspect(path)
    found: dict[str, Any] = kept[source.key]
    return found


def _show(source: Source, found: dict[str, Any]) -> None:
    kinds = ", ".join(found["dtypes"])
    st.markdown(
        f"**{plain(source.name)}** · {size_words(found['bytes'])} · "
        f"{found['tensors']:,} tensors of {kinds} · "
        f"{found['values']:,} values"
    )
    if found["undone"]:
        st.caption(f"To get at the weights: {plain('; '.join(found['undone']))}.")
    guesses = found["guesses"]
    if found["proposal"]:
        best = guesses[0]
        given = ", ".join(
            f"{name.replace('_', ' ')} {value}" for name, value in best["parameters"].items()
        )
        renamed = f" ({plain('; '.join(best['renamed']))})" if best["renamed"] else ""
        st.success(
            f"This is **{best['title']}**{f': {given}' if given else ''}. {best['fits']}{renamed}.",
            icon=":material/check_circle:",
        )
        return
    near = "; ".join(f"{one['architecture']}: {one['fits']}" for one in guesses[:3])
    st.error(
        f"No architecture known here fits every tensor. {f'Nearest: {near}. ' if near else ''}"
        "Bring the network with its code on the command line: "
        "`python -m engine run --model FILE.py:FACTORY --weights FILE …`",
        icon=":material/help:",
    )
