"""How the app was opened: for the one at this machine, or with --share for others, and then to what of it.

`quantoscope.py` hands its options over in the environment: QUANTOSCOPE_SHARE=1, QUANTOSCOPE_HOSTS and
QUANTOSCOPE_FOLDERS (with commas), QUANTOSCOPE_KEY (the host's key; else a new one at each start).
"""

import os
import secrets
import socket
from base64 import b32encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.run_files.run_folders import ROOT, runs_folder
from engine.core.errors import UserError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SHORTEST_KEY = 12  # letters that no one tries through


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """`hosts`: the names given; empty where none were, and then this machine's own and its addresses hold."""

    shared: bool
    hosts: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()  # into which a path that a visitor types may lead


def sharing() -> Sharing:
    """What the environment says now."""
    if os.environ.get("QUANTOSCOPE_SHARE", "") in ("", "0"):
        return Sharing(shared=False)
    folders = [Path(name).expanduser() for name in _listed("QUANTOSCOPE_FOLDERS")]
    return Sharing(
        shared=True,
        hosts=tuple(name.lower().rstrip(".") for name in _listed("QUANTOSCOPE_HOSTS")),
        folders=tuple(folders) or (ROOT / "uploads", runs_folder(), ROOT / "assets"),
    )


def own_name() -> str:
    """What this machine is called in its network."""
    return socket.gethostname().lower()


def host_key() -> str:
    """The key of whoever started the app: it opens every run."""
    return os.environ.get("QUANTOSCOPE_KEY") or _new_key()


@cache
def _new_key() -> str:
    return spaced(b32encode(secrets.token_bytes(10)).decode())


def spaced(key: str) -> str:
    """A key in groups of four, to be read out."""
    return "-".join(key[at : at + 4] for at in range(0, len(key), 4))


def greeting() -> str:
    """What the terminal says at the start of a shared app; UserError where its key is none."""
    if len(host_key()) < SHORTEST_KEY:
        raise UserError(
            f"QUANTOSCOPE_KEY has {len(host_key())} letters; give {SHORTEST_KEY} or more, or none at all"
        )
    told = sharing()
    names = ", ".join(told.hosts) or f"{own_name()} and this machine's addresses"
    return (
        f"Shared with whoever reaches this port, as {names}.\n"
        f"Paths that visitors type lead only into {', '.join(map(str, told.folders))}.\n"
        f"The host's key, which may stop and delete every run: {host_key()}"
    )


def _listed(name: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]
