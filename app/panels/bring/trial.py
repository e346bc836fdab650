"""The third step: does it run, can it be quantized, and is it as good as it should be?"""

from dataclasses import replace
from typing import Any

import streamlit as st

from app.access.uploads import Source, by_path, files_of, most_mb, uploaded
from app.panels.bring.form import take_space
from app.panels.shared.press import button
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.core.errors import UserError
from engine.core.percent import BAND, percent
from engine.run import networks
from engine.run.networks import Brought

MOST_ARCHIVE_MB = 500


def images_choice() -> Source | None:
    """Real images to judge with: a folder, or an archive; None where none are given."""
    left, right = st.columns([2, 3], gap="medium")
    with left:
        text = st.text_input(
            "Folder of test images on the machine that runs this", key="bring-images",
            placeholder="class folders, or images with a labels.csv",
            help="Class folders are called by class number or name. Also CIFAR's and MNIST's own files, as "
            "torchvision leaves them. Only to judge with.",
        )  # fmt: skip
    with right:
        upload = st.file_uploader(
            "… or a zip archive of them",
            type=["zip"],
            max_upload_size=min(MOST_ARCHIVE_MB, most_mb()),
            key="bring-archive",
        )
    try:
        return uploaded(upload) if upload is not None else by_path(text)
    except UserError as error:
        st.error(page_text(error))
        return None


def trial_step(source: Source, brought: Brought, images: Source | None) -> None:
    """A button, and what came of it; kept until the form says something else."""
    tried: dict[str, Any] = st.session_state.setdefault("bring-tried", {})
    about = (source.key, brought, images.key if images else "")
    label = "Try it on these images" if images else "Try whether it runs"
    if button(label, icon=":material/play_arrow:", key="bring-try"):
        tried.clear()
        try:
            with (
                st.spinner("Running the network…", show_time=True),
                files_of(source, images) as paths,
            ):
                asked = replace(brought, weights=paths[0], images=paths[1])
                tried[str(about)] = networks.try_out(asked)
        except UserError as error:
            st.error(page_text(error))
    if str(about) in tried:
        _show(tried[str(about)], source.key)
    elif tried:
        st.caption("The form has changed since the last trial: try it once more.")


def _show(said: dict[str, Any], key: str) -> None:
    judged = said["accuracy"]
    columns = st.columns(4)
    if judged and judged["top1"] is not None:
        low, high = judged["band"]
        columns[0].metric(
            "Float top-1", percent(judged['top1'], 2), border=True, height="stretch",
            help=f"{BAND} band: {percent(low)} to {percent(high)}, "
            f"on {judged['images']:,} of {judged['of']:,} images.",
        )  # fmt: skip
    else:
        columns[0].metric("Float top-1", "unknown", border=True, height="stretch",
                          help="Labelled images are needed.")  # fmt: skip
    columns[1].metric("Classes", f"{said['outputs']:,}", border=True, height="stretch")
    columns[2].metric("Blocks", said["blocks"], border=True, height="stretch",
                      help="What is reconstructed one after another.")  # fmt: skip
    columns[3].metric("BatchNorm layers", said["batchnorm_layers"], border=True, height="stretch",
                      help="Images are made from their statistics.")  # fmt: skip
    if not said["batchnorm_layers"]:
        st.warning(
            "It has no BatchNorm, so there are no statistics to make images from: calibrate it with noise or "
            "real images."
        )
    if judged:
        _show_images(judged, key)


def _show_images(judged: dict[str, Any], key: str) -> None:
    if judged["skipped_count"]:
        count = judged["skipped_count"]
        what = f"{count} files were" if count > 1 else "1 file was"
        st.caption(f"{what} skipped: {plain('; '.join(judged['skipped'][:3]))}.")
    for note in judged.get("notes", ()):
        st.info(page_text(note), icon=":material/label:")
    for found in judged.get("labels", ()):
        st.warning(
            f"**{found['title']}.** {page_text(found['message'])}. {page_text(found['advice'])}"
        )
    if judged["top1"] is None:
        st.caption(
            "The images have no labels: the network runs on them, but how often it is right is unknown."
        )
        return
    low, high = judged["band"]
    st.markdown(
        f"Right on **{percent(judged['top1'], 2)}** of {judged['images']:,} images "
        f"({BAND} band {percent(low)} to {percent(high)}). " + _verdict(judged)
    )
    better = _better(judged)
    if better is not None:
        st.button(
            f"Take mean and std of {better['name']}", key="bring-take", icon=":material/swap_horiz:",
            on_click=take_space, args=(key, better["mean"], better["std"]),
        )  # fmt: skip


def _verdict(judged: dict[str, Any]) -> str:
    better = _better(judged)
    few = judged["others"][0]["images"] if judged["others"] else 0
    if better is not None:
        return (
            f"With mean and std of **{better['name']}** it is right on {percent(better['top1'])} "
            f"of the first {few} instead of {percent(judged['same_images_top1'])}: "
            "it was probably trained with those."
        )
    if not judged["others"]:
        return ""
    names = [one["name"] for one in judged["others"]]
    return f"No other usual mean and std ({', '.join(names)}) is distinguishably better on the first {few}."


def _better(judged: dict[str, Any]) -> dict[str, Any] | None:
    """Another normalisation whose band lies above this one's."""
    best: dict[str, Any] | None = max(judged["others"], key=lambda one: one["top1"], default=None)
    return best if best and best["band"][0] > judged["same_images_band"][1] else None
