"""A form drawn from the catalog: every network, method and knob there is."""

from typing import Any

import streamlit as st

from app.actions import start_run
from app.panels.agree import agreed
from app.panels.new_run.estimate import before_start
from app.panels.new_run.knobs import knobs
from app.presets import USUAL
from app.recipes import paths_in
from app.words import EFFORTS, plain
from engine.run.recipes.recipe import EDGE_RULES, PRESETS, find, no_folder, refusal, settings_at

BITS = (2, 8)
METHODS = ("synthesis", "quantization")


def recipe_form(catalog: dict[str, Any], *, shown: bool = True) -> None:
    """Choose, and start; what it would cost is asked only while the form is `shown`."""
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
    } | _numbers(model)
    for kind, method in zip(METHODS, (synthesis, quantization), strict=True):
        wanted[f"{kind}_settings"] = _method_settings(catalog, wanted, kind, method)
    if model["settings"]:
        with st.expander(f"Settings of {plain(model['title'])}"):
            base = {knob["name"]: knob["presets"][wanted["preset"]] for knob in model["settings"]}
            wanted["model_settings"] = knobs(model["settings"], base, key=f"model-{model['name']}")
    wanted |= _files()
    refusals = [_refusal(catalog, kind, wanted[kind], model) for kind in METHODS]
    if reason := no_folder(_defaults(synthesis) | wanted["synthesis_settings"]):
        st.warning(f"{plain(reason)}.")
        refusals.append(reason)
    if shown and not any(refusals) and agreed(paths_in(wanted), key="form-files"):
        before_start(catalog, wanted)
    if st.button(
        "Start this recipe",
        type="primary",
        icon=":material/play_arrow:",
        key="start-own",
        disabled=any(refusals),
    ):
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
    st.caption(str(entry.get("summary", "")))
    if not entry.get("exportable", True):
        st.caption(
            "What it learns is computed in float here: kernels for integers cannot compute it."
        )
    if entry.get("url"):
        st.markdown(f"[{entry['paper']}]({entry['url']})")
    return entry


def _defaults(method: dict[str, Any]) -> dict[str, Any]:
    return {knob["name"]: knob["default"] for knob in method["settings"]}


def _refusal(catalog: dict[str, Any], kind: str, method: str, model: dict[str, Any]) -> str | None:
    """Why the method cannot work on the network, with the form and the folder chosen below."""
    chosen = {
        name: st.session_state.get(f"knob-model-{model['name']}-{name}", "")
        for name in ("calibration", "form")
    }
    return refusal(catalog, kind, method, model, chosen)


def _numbers(model: dict[str, Any]) -> dict[str, Any]:
    columns = st.columns(3, gap="medium")
    with columns[0]:
        weight_bits = st.slider("Bits a weight", *BITS, 4, key="form-weight-bits")
        activation_bits = st.slider("Bits an activation", *BITS, 4, key="form-activation-bits")
    with columns[1]:
        preset = st.segmented_control(
            "Effort",
            list(PRESETS),
            format_func=lambda one: EFFORTS.get(one, one),
            default="quick",
            required=True,
            key="form-preset",
            help="How many steps and images. Quick: minutes on a laptop; paper: as many as the paper takes.",
        )
        rule = st.selectbox(
            "First and last layers at 8 bits",
            list(EDGE_RULES),
            format_func=lambda one: f"{one}: {EDGE_RULES[one]}",
            key="form-edge-rule",
        )
    with columns[2]:
        budget = model["presets"].get(preset, {})
        images = st.number_input(
            "Images",
            1,
            100_000,
            value=budget.get("images"),
            placeholder="as the effort says",
            key=f"form-images-{model['name']}-{preset}",
            help="How many images to make and to calibrate with.",
        )
        seed = st.number_input("Seed", 0, 2**31, 0, key="form-seed")
    return {
        "weight_bits": weight_bits,
        "activation_bits": activation_bits,
        "preset": preset,
        "edge_rule": rule,
        "images": None if images is None else int(images),
        "seed": int(seed),
    }


def _files() -> dict[str, Any]:
    with st.expander("Own weights, own test images (paths on the machine that runs this)"):
        left, right = st.columns(2, gap="medium")
        weights = left.text_input(
            "Checkpoint file",
            key="form-weights",
            placeholder="the network's own weights",
            help="Weights of this network in a file, instead of those it comes with.",
        )
        data = right.text_input(
            "Folder of test images",
            key="form-data",
            placeholder="the network's own test images, where it has some",
            help="A folder of class folders (called by class number or name), or of images with a "
            "labels.csv. Only to judge with.",
        )
    return {"weights": weights.strip(), "data": data.strip()}


def _method_settings(
    catalog: dict[str, Any], wanted: dict[str, Any], kind: str, method: dict[str, Any]
) -> dict[str, Any]:
    """What the user changed; the values shown at first are those the recipe would take anyway."""
    settings = find(catalog, kind, method["name"])["settings"]
    if not settings:
        return {}
    model = find(catalog, "models", wanted["model"])
    base = settings_at(wanted["preset"], model, kind, settings, {})
    with st.expander(f"Every knob of {method['title']}", expanded=bool(no_folder(base))):
        return knobs(settings, base, key=f"{kind}-{method['name']}-{wanted['preset']}")
