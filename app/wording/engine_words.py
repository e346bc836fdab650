"""What the engine says, in the page's words: no options, no names of settings, methods or runs in code."""

import re
from pathlib import Path

import streamlit as st

from app.engine_calls.choices import title_of
from app.panels.new_run.value_words import knob_words
from app.run_files.run_folders import open_run, runs_folder
from app.wording.words import plain, recipe_words
from engine.core.errors import UserError
from engine.run import catalog

KINDS = {"model": "models", "synthesis": "synthesis", "quantization": "quantization"}
OPTIONS = {
    "data": "labelled images of your own",
    "images": "images",
    "weights": "a checkpoint",
    "model": "a network",
    "set": "",
}
FIELDS = {"data": "The folder of test images", "weights": "The checkpoint file"}
ON_OFF = {"true": "on", "false": "off", "True": "on", "False": "off"}

_FIELD = re.compile(r"^(data|weights)(?= ')")  # a path that was typed there
_CODE = re.compile(r"(`[^`\n]*`)")  # a command as a whole is told as one, and stays
_OTHER_ENGINE = re.compile(r"Computed by engine [^;]+; this is \S+?\.(?=\s|$)")
OTHER_VERSION = "Computed by another version of Quantoscope, whose numbers may differ a little."
_ASIDE = re.compile(r" ?\((?:--|or --)[^()]*\)")
_RUN = re.compile(
    r"(?<![\w/.-])(?:the run |run )?'?([\w.-]+_w\d+a\d+_[0-9a-f]{8})\b(?!\.\w)'?"
)  # a file's name stays
_METHOD = re.compile(
    r"--(synthesis|quantization) ([a-z][\w-]*)|\b(synthesis|quantization) '([\w-]+)'"
)
_NAMED = re.compile(r"\(([a-z][a-z0-9-]*)\)")
_SETTING = re.compile(r"\b(model|synthesis|quantization)\.([a-z_]+)\b(?!\.\w)(?:=([\w.-]*[\w-]))?")
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*)(?: ([A-Z]{3,}|\.\.))?")


def page_text(text: object) -> str:
    """The engine's sentence for a page, as Markdown that is nothing but text: see `plain`."""
    return plain(page_words(str(text)))


def page_sentence(text: object) -> str:
    """The same as a sentence of its own: a command line puts it behind the name of what went wrong."""
    said = page_text(text)
    stop = "" if not said or said.endswith((".", "!", "?")) else "."
    return f"{said[:1].upper()}{said[1:]}{stop}"


def page_words(text: str) -> str:
    """The sentence with titles for code names; what only the command line has is left out."""
    parts = _CODE.split(text)
    parts[::2] = [_page_words(part) for part in parts[::2]]
    return "".join(parts)


def _page_words(text: str) -> str:
    text = text.replace("; model.output says otherwise", "")
    text = _FIELD.sub(lambda found: FIELDS[found[1]], text)
    text = _OTHER_ENGINE.sub(OTHER_VERSION, text)
    text = _ASIDE.sub("", text)
    text = _RUN.sub(lambda found: run_words(found[1]), text)
    text = _METHOD.sub(lambda found: _method(found[1] or found[3], found[2] or found[4]), text)
    text = _NAMED.sub(_titled, text)
    text = re.sub(r"--set (?=\w+\.)", "", text)
    text = _SETTING.sub(_setting, text)
    return _OPTION.sub(lambda found: OPTIONS.get(found[1], found[1].replace("-", " ")), text)


def run_words(run: str) -> str:
    """What a run is, by its id: its recipe on one line."""
    try:
        return f"the run “{recipe_words(open_run(run).recipe)}”"
    except (UserError, TypeError, ValueError, OSError):
        return "a run that is not here any more"


def _method(kind: str, name: str) -> str:
    return f"the {'images' if kind == 'synthesis' else 'quantizer'} {title_of(kind, name)}"


def _titled(found: re.Match[str]) -> str:
    """A method's title for its name in brackets; whatever else stands there stays."""
    for kind in ("synthesis", "quantization"):
        title = title_of(kind, found[1])
        if title != found[1]:
            return f"({title})"
    return found[0]


def _setting(found: re.Match[str]) -> str:
    """The label that a form gives the setting, and what its value means."""
    kind, name, value = found.groups()
    label = _labels(str(runs_folder())).get((kind, name))
    if label is None:  # a module of the network may be called so, too
        return found[0] if kind == "model" else f"“{name.replace('_', ' ')}”"
    if not value or value.isupper() or value.startswith(("channels", "..")):
        return f"“{label}”"
    return f"“{label}: {ON_OFF.get(value) or knob_words(name, value)}”"


@st.cache_data(ttl=30, show_spinner=False)
def _labels(runs: str) -> dict[tuple[str, str], str]:
    """What each setting is called, by kind and name; of several methods' the first one's word."""
    known = catalog.last_known(Path(runs))
    labels: dict[tuple[str, str], str] = {}
    for kind, listed in KINDS.items():
        for entry in known.get(listed, []):
            for knob in entry["settings"]:
                labels.setdefault((kind, knob["name"]), str(knob["label"]))
    return labels
