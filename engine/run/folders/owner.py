"""Whose a run or a saved network is: the hash of its owner's key, in a file beside it. Imports no torch.

Where there is no such file it belongs to the host, who started the app or used the command line.
"""

import contextlib
import json
from pathlib import Path

FILE = "owner.json"
HOST = ""
NOBODY = "?"  # the file is damaged: only the host may


def owner_of(folder: Path) -> str:
    """The hash of the owner's key, HOST for the host's own."""
    try:
        found = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        return HOST
    except (OSError, ValueError):
        return NOBODY
    owner = found.get("owner") if isinstance(found, dict) else None
    return owner if isinstance(owner, str) and owner else NOBODY


def claim(folder: Path, owner: str, *, made: str) -> None:
    """Make the folder the owner's, unless it is somebody's already.

    `made` is the file by which one knows that it was there before: then it stays whose it is. Of two who
    claim it at one instant the first has it.
    """
    if owner == HOST or (folder / made).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    hand_over(folder, owner)


def hand_over(folder: Path, owner: str) -> None:
    """Make the host's folder the owner's; it stays whose it is where it is somebody's already."""
    if owner != HOST:
        with contextlib.suppress(FileExistsError), (folder / FILE).open("x") as file:
            file.write(json.dumps({"owner": owner}))
