"""What there is to choose from, kept for half a minute, and the words for it."""

from pathlib import Path, PurePath
from typing import Any

import streamlit as st

from app.access.sharing import sharing
from app.access.visitors import may_control
from app.run_files.run_folders import runs_folder
from engine.run import catalog, networks
from engine.run.folders.owner import HOST, owner_of


# One for all pages, which only read it: a copy for each would take longer than all else that a page does.
@st.cache_resource(ttl=30, refresh_mode="background", show_spinner=False)
def _load(runs: str) -> dict[str, Any]:  # noqa: ARG001  (the cache's key)
    return catalog.load(runs_folder())


def load_catalog() -> dict[str, Any]:
    """The engine's catalog; the first call of a fresh installation takes some seconds.

    Of the networks that were brought, those that whoever looks at this page may use.
    """
    found = _load(str(runs_folder()))
    return found | {"models": [one for one in found["models"] if may_use(one["name"])]}


def may_use(network: str) -> bool:
    """Whether a network is not somebody else's own: what one visitor brings, no other finds by its name."""
    if not network.startswith(networks.PREFIX):
        return True
    folder = networks.networks_folder(runs_folder()) / network.removeprefix(networks.PREFIX)
    return owner_of(folder) == HOST or may_control(folder)


def forget_catalog() -> None:
    """Have it read anew: a network was saved or removed."""
    _load.clear()


def title_of(kind: str, name: str) -> str:
    """The readable name of a network or method by its catalog name; the name itself if unknown.

    Never waits for the catalog: on a fresh installation the names themselves stand for some seconds.
    """
    title = _titles(str(runs_folder())).get((kind, name), name)
    if kind == "models" and ".py:" in name:  # a file of the user's own
        file, _, made_by = name.rpartition(":")
        return f"{made_by} of {PurePath(file).name}"
    brought = kind == "models" and name.startswith(networks.PREFIX)
    return f"{title} · yours" if brought and title != name and not sharing().shared else title


@st.cache_data(ttl=5, show_spinner=False)
def _titles(runs: str) -> dict[tuple[str, str], str]:
    known = catalog.last_known(Path(runs))
    titles = {
        (kind, entry["name"]): str(entry["title"])
        for kind in ("models", "synthesis", "quantization")
        for entry in known.get(kind, [])
    }
    saved = networks.list_saved(networks.networks_folder(Path(runs)))
    return titles | {("models", one.full_name): one.title for one in saved}
