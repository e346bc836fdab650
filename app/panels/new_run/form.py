"""The form of a recipe: five choices that everybody makes, and behind them every knob there is."""

from typing import Any

import streamlit as st

from app.actions import start_run
from app.panels.agree import agreed
from app.panels.new_run.estimate import before_start
from app.panels.new_run.filled import base_of
from app.panels.new_run.knobs import changed_count, knobs, put_back
from app.presets import USUAL
from app.recipes import paths_in
from app.words import EDGES, EFFORTS, plain
from engine.run.recipes.recipe import PRESETS, find, no_folder, refusal

BITS = (2, 8)
METHODS = ("synthesis", "quantization")
EFFORT_HELP = (
    "How many steps and images. Quick: minutes on a laptop; standard: about ten times as long; paper: as "
    "many as the paper takes."
)
WEIGHTS_HELP = "W in W4A4: 2 bits are four values a weight, 4 are sixteen, 8 are 256. Float has 32."
ACTIVATIONS_HELP = (
    "A in W4A4: what flows between the layers. Fewer bits hurt here sooner than in weights."
)


def recipe_form(catalog: dict[str, Any]) -> None:
    """Choose, see what it would take, and start."""
    left, middle, right = st.columns(3, gap="medium")
    with left:
        model = _choice(catalog, "models", "model", "Network")
    with middle:
        synthesis = _choice(catalog, "synthesis", "synthesis", "Images from", model)
    with right:
        quantization = _choice(catalog, "quantization", "quantization", "Quantizer", model)
    wanted = {
        "model": model["name"],
        "synthesis": synthesis["name"],
        "quantization": quantization["name"],
    } | _basic()
    wanted |= _expert(catalog, wanted, model, synthesis, quantization)
    refusals = [_refusal(catalog, kind, wanted[kind], model) for kind in METHODS]
    settings = {knob["name"]: knob["default"] for knob in synthesis["settings"]}
    if reason := no_folder(settings | wanted["synthesis_settings"]):
        st.warning(
            f"{synthesis['title']} takes its images from a folder: give one among its settings."
        )
        refusals.append(reason)
    with st.container(horizontal=True, vertical_alignment="center"):
        started = st.button(
            "Start", type="primary", icon=":material/play_arrow:", key="start-own",
            disabled=any(refusals),
        )  # fmt: skip
        if not any(refusals) and agreed(paths_in(wanted), key="form-files"):
            with st.container(width="stretch"):
                before_start(catalog, wanted)
    if started:
        start_run(wanted)


def _choice(
    catalog: dict[str, Any], kind: str, key: str, label: str, model: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A menu of the catalog's entries; what cannot work on the network stands last, and says so."""
    entries = {entry["name"]: entry for entry in catalog[kind] if entry.get("available", True)}
    refusals = {one: model and _refusal(catalog, kind, one, model) for one in entries}
    names = sorted(  # what can work, the usual choice before all, then the small ones
        entries,
        key=lambda one: (
            bool(refusals[one]),
            one != USUAL[key],
            entries[one].get("parameters", 0),
        ),
    )
    name = st.selectbox(
        label,
        names,
        format_func=lambda one: (
            entries[one]["title"] + (" (not for this network)" if refusals[one] else "")
        ),
        key=f"form-{key}",
    )
    entry: dict[str, Any] = entries[name]
    if refusals[name]:
        st.warning(f"{entry['title']} cannot work here: {refusals[name]}.")
    st.caption(_told(entry))
    return entry


def _told(entry: dict[str, Any]) -> str:
    """What it does, the paper it is from, and what a chip could not compute."""
    said = str(entry.get("summary", ""))
    if entry.get("url"):
        said += f" [The paper]({entry['url']})"
    if not entry.get("exportable", True):
        said += " What it learns is computed in float here: kernels for integers cannot compute it."
    return said


def _refusal(catalog: dict[str, Any], kind: str, method: str, model: dict[str, Any]) -> str | None:
    """Why the method cannot work on the network, with the form and the folder chosen below."""
    form = f"knob-form-models-{model['name']}-{st.session_state.get('form-preset', 'quick')}"
    chosen = {name: st.session_state.get(f"{form}-{name}", "") for name in ("calibration", "form")}
    return refusal(catalog, kind, method, model, chosen)


def _basic() -> dict[str, Any]:
    state = st.session_state
    left, middle, right = st.columns(3, gap="medium")
    for name, usual in (("weight-bits", 4), ("activation-bits", 4), ("preset", "quick")):
        state.setdefault(f"form-{name}", usual)
    weights = left.slider("Bits a weight", *BITS, key="form-weight-bits", help=WEIGHTS_HELP)
    activations = middle.slider(
        "Bits an activation", *BITS, key="form-activation-bits", help=ACTIVATIONS_HELP
    )
    preset = right.segmented_control(
        "Effort",
        list(PRESETS),
        format_func=lambda one: EFFORTS.get(one, one),
        required=True,
        key="form-preset",
        help=EFFORT_HELP,
    )
    return {"weight_bits": weights, "activation_bits": activations, "preset": preset}


def _expert(
    catalog: dict[str, Any],
    wanted: dict[str, Any],
    model: dict[str, Any],
    synthesis: dict[str, Any],
    quantization: dict[str, Any],
) -> dict[str, Any]:
    """What has a usual value already, in closed expanders by what it belongs to."""
    preset = wanted["preset"]
    found: dict[str, Any] = _common(model, preset)
    for kind, entry, field in (
        ("synthesis", synthesis, "synthesis"),
        ("quantization", quantization, "quantization"),
        ("models", model, "model"),
    ):
        found[f"{field}_settings"] = _group(catalog, kind, entry, model, preset)
    return found | _files()


def _common(model: dict[str, Any], preset: str) -> dict[str, Any]:
    state = st.session_state
    state.setdefault("form-edge-rule", "brecq")
    state.setdefault("form-seed", 0)
    with st.expander("How many images, which layers keep 8 bits, the seed", icon=":material/tune:"):
        left, middle, right = st.columns(3, gap="medium")
        budget = model["presets"].get(preset, {}).get("images")
        key = f"form-images-{model['name']}-{preset}"
        images = left.number_input(
            "Images", 1, 100_000, **({} if key in state else {"value": budget}),
            placeholder="as the effort says", key=key,
            help="How many images to make and to calibrate with.",
        )  # fmt: skip
        rule = middle.selectbox(
            "Layers that keep 8 bits", list(EDGES), format_func=lambda one: EDGES[one], key="form-edge-rule",
            help="First and last layers lose most by few bits and hold few weights; papers differ in which "
            "they spare.",
        )  # fmt: skip
        seed = right.number_input(
            "Seed", 0, 2**31, key="form-seed", help="The same recipe and seed give the same result."
        )
    return {
        "images": None if images is None else int(images),
        "edge_rule": rule,
        "seed": int(seed),
    }


def _group(
    catalog: dict[str, Any], kind: str, entry: dict[str, Any], model: dict[str, Any], preset: str
) -> dict[str, Any]:
    """The knobs of one method or network; what differs from the effort's values is told on the outside."""
    settings = find(catalog, kind, entry["name"])["settings"]
    if not settings:
        return {}
    base = base_of(kind, entry, model, preset)
    form = f"form-{kind}-{entry['name']}-{preset}"
    count = changed_count(settings, base, key=form)
    told = f" · {count} changed" if count else ""
    needed = kind == "synthesis" and bool(no_folder(base))
    what = {"models": "The network", "synthesis": "Making the images", "quantization": "Quantizing"}
    with st.expander(
        f"{what[kind]}: {plain(entry['title'])}{told}", expanded=needed, icon=":material/tune:"
    ):
        if count:
            st.button(
                "As the effort says", icon=":material/undo:", key=f"{form}-back",
                on_click=put_back, args=(settings,), kwargs={"key": form},
            )  # fmt: skip
        return knobs(settings, base, key=form)


def _files() -> dict[str, Any]:
    with st.expander("Own weights, own test images", icon=":material/folder:"):
        left, right = st.columns(2, gap="medium")
        weights = left.text_input(
            "Checkpoint file", key="form-weights", placeholder="the network's own weights",
            help="A path on the machine that runs this: weights of this network instead of its own.",
        )  # fmt: skip
        data = right.text_input(
            "Folder of test images", key="form-data",
            placeholder="the network's own test images, where it has some",
            help="A path on the machine that runs this: a folder of class folders (called by class number "
            "or name), or of images with a labels.csv. Only to judge with.",
        )  # fmt: skip
    return {"weights": weights.strip(), "data": data.strip()}
