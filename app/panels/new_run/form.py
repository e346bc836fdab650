"""What a recipe is chosen by: network, images, quantizer, bits and effort; for experts every setting."""

from typing import Any

import streamlit as st

from app.panels.new_run.bits_table import bits_table
from app.panels.new_run.choices import choice, refused
from app.panels.new_run.draft import (
    KINDS,
    Draft,
    preset_images,
    preset_values,
    working_source,
)
from app.panels.new_run.groups import group, mark_groups
from app.panels.new_run.knobs import knobs
from app.panels.new_run.value_words import EDGES, EDGES_HELP, knob_words
from app.panels.shared.begins_as import begins_as
from app.wording.words import EFFORTS, plain
from engine.run.recipes.checks import activation_bits_of, weight_bits_of
from engine.run.recipes.recipe import PRESETS, find, no_folder

EFFORT_HELP = (
    "How many images, and how many steps they and each block take. Quick: minutes on a laptop. Standard: an "
    "evening's work on one. Paper: as many as the method's paper takes."
)


def recipe_form(catalog: dict[str, Any], draft: Draft) -> list[str]:
    """The widgets, whose values go into the draft; returns why it cannot be started, if so."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        draft.expert = (
            st.segmented_control(
                "How much to choose",
                ["Basic", "Expert"],
                default="Expert" if draft.expert else "Basic",
                key=f"new-{draft.number}-mode",
                required=True,
                label_visibility="collapsed",
            )
            == "Expert"
        )
    reasons = _what(catalog, draft)
    _how_few(catalog, draft)
    if draft.expert:
        _expert(catalog, draft)
    else:
        _changed(draft)
    needed = preset_values(catalog, draft.wanted, "synthesis") | draft.changed("synthesis")
    if no_folder(needed):
        if not draft.expert:  # the one setting that has no value of its own
            synthesis = find(catalog, "synthesis", draft.wanted["synthesis"])
            _method(catalog, draft, "synthesis", only=_folder(synthesis["settings"]))
            needed |= draft.changed("synthesis")
        if no_folder(needed):
            reasons.append("Give the folder that the images are to be taken from.")
    return reasons


def _what(catalog: dict[str, Any], draft: Draft) -> list[str]:
    """Network, images and quantizer, each with what it does; returns why a choice cannot work."""
    left, middle, right = st.columns(3, gap="medium")
    with left:
        before, draft.wanted["model"] = (
            draft.wanted["model"], choice(catalog, "models", "Network", draft)
        )  # fmt: skip
        if draft.wanted["model"] != before:
            draft.bits = {}  # of the layers of another network
            draft.wanted["synthesis"] = working_source(catalog, draft)
            st.session_state[f"new-{draft.number}-synthesis"] = draft.wanted["synthesis"]
    with middle:
        draft.wanted["synthesis"] = choice(catalog, "synthesis", "Images from", draft)
    with right:
        draft.wanted["quantization"] = choice(catalog, "quantization", "Quantizer", draft)
    found = [refused(catalog, kind, draft) for kind in ("synthesis", "quantization")]
    return [reason for reason in found if reason]


def _how_few(catalog: dict[str, Any], draft: Draft) -> None:
    key, wanted = f"new-{draft.number}", draft.wanted
    quantizer = find(catalog, "quantization", wanted["quantization"])
    columns = st.columns(3, gap="medium")
    for column, name, limits, label, words in (
        (columns[0], "weight_bits", weight_bits_of(quantizer), "Bits a weight",
         "A weight of b bits has one of 2 to the power of b values. A float weight has 32 bits."),
        (columns[1], "activation_bits", activation_bits_of(quantizer), "Bits an activation",
         "Activations are the numbers that flow from layer to layer. 8 bits rarely hurt."),
    ):  # fmt: skip
        first = max(begins_as(f"{key}-{name}", wanted[name]), limits[0])
        # Only where it must be: a slider that is told where to stand forgets where it was being moved.
        if st.session_state.get(f"{key}-{name}", first) < limits[0]:
            st.session_state[f"{key}-{name}"] = limits[0]  # it was of another quantizer
        wanted[name] = column.slider(label, *limits, first, key=f"{key}-{name}", help=words)
    effort = columns[2].segmented_control(
        "Effort",
        list(PRESETS),
        format_func=lambda one: EFFORTS.get(one, one),
        default=begins_as(f"{key}-preset", wanted["preset"]),
        required=True,
        key=f"{key}-preset",
        help=EFFORT_HELP,
    )
    # While the dialog is drawn anew under a quick hand it can tell None, though it is required.
    wanted["preset"] = effort or wanted["preset"]


def _expert(catalog: dict[str, Any], draft: Draft) -> None:
    """Everything else, grouped by what it belongs to."""
    titles = {
        kind: plain(find(catalog, kind, draft.wanted[field])["title"])
        for kind, field in KINDS.items()
    }
    with group(draft, "synthesis", f"Images: how many, and how {titles['synthesis']} makes them"):
        _images(catalog, draft)
        _method(catalog, draft, "synthesis")
    title = f"Quantizer: which layers keep 8 bits, and how {titles['quantization']} works"
    with group(draft, "quantization", title):
        _edges(draft)
        _method(catalog, draft, "quantization")
    with group(draft, "bits", "Bits, layer by layer"):
        bits_table(catalog, draft)
    title = f"Network: what {titles['models']} expects, own weights, own test images"
    with group(draft, "models", title):
        _files(draft)
        _method(catalog, draft, "models")
    mark_groups(draft)


def _images(catalog: dict[str, Any], draft: Draft) -> None:
    key, wanted = f"new-{draft.number}", draft.wanted
    left, right, _ = st.columns(3, gap="medium")
    budget = preset_images(catalog, wanted)
    images_key = f"{key}-images"
    images = left.number_input(
        "Images", 1, 100_000, begins_as(images_key, wanted["images"]), step=1, key=images_key,
        placeholder=f"{budget}: as the effort says",
        help="How many images to make and to calibrate with: the quantizer sees no others.",
    )  # fmt: skip
    wanted["images"] = None if images is None else int(images)
    seed = right.number_input(
        "Seed",
        0,
        2**31,
        begins_as(f"{key}-seed", int(wanted["seed"])),
        step=1,
        key=f"{key}-seed",
        help="Where the random numbers begin. Another seed shows how much of a result is chance.",
    )
    wanted["seed"] = int(seed)


def _edges(draft: Draft) -> None:
    key = f"new-{draft.number}-edges"
    rules = list(EDGES)
    draft.wanted["edge_rule"] = st.selectbox(
        "Kept at 8 bits",
        rules,
        rules.index(begins_as(key, draft.wanted["edge_rule"])),
        format_func=lambda one: EDGES[one],
        key=key,
        help=EDGES_HELP,
    )


def _files(draft: Draft) -> None:
    left, right = st.columns(2, gap="medium")
    for column, name, label, placeholder, words in (
        (left, "weights", "Checkpoint file", "the network's own weights",
         "Weights of this network in a file, instead of those it comes with. A path on the machine that "
         "runs this."),
        (right, "data", "Folder of test images", "the network's own test images, where it has some",
         "A folder of class folders (called by class number or name), or of images with a labels.csv. Only "
         "to judge with. A path on the machine that runs this."),
    ):  # fmt: skip
        key = f"new-{draft.number}-{name}"
        draft.wanted[name] = column.text_input(
            label, begins_as(key, draft.wanted[name]), key=key, placeholder=placeholder, help=words
        ).strip()


def _folder(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [knob for knob in settings if knob["name"] == "folder"]


def _method(
    catalog: dict[str, Any],
    draft: Draft,
    kind: str,
    only: list[dict[str, Any]] | None = None,
) -> None:
    """The settings of what is chosen; those changed go into the draft."""
    name = draft.wanted[KINDS[kind]]
    settings = find(catalog, kind, name)["settings"] if only is None else only
    base = preset_values(catalog, draft.wanted, kind)
    shown = {knob["name"] for knob in settings}
    kept = {one: value for one, value in draft.changed(kind).items() if one not in shown}
    draft.changes[kind, name] = kept | knobs(
        settings,
        base,
        key=f"{draft.number}-{kind}-{name}-{draft.wanted['preset']}",
        given=base | draft.changed(kind),
        title_of=knob_words,
    )


def _changed(draft: Draft) -> None:
    """What an expert changed stays in force where it is not shown; so it is said."""
    count = sum(len(draft.changed(kind)) for kind in KINDS)
    count += (draft.wanted["images"] is not None) + bool(draft.bits)
    if count:
        what = "1 setting differs" if count == 1 else f"{count} settings differ"
        st.caption(f":orange[:material/tune:] {what} from the effort's; *Expert* shows which.")
