"""Files that a visitor brings, given to the engine as private copies that live no longer than a question."""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app.engine_calls.recipes import followed
from engine.core.errors import UserError


def most_mb() -> int:
    """How large an upload may be, in MB: it is held in memory. The server itself refuses larger ones."""
    return int(st.get_option("server.maxUploadSize"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file: uploaded, or by its path on the machine that runs this."""

    name: str
    key: str  # the same for the same file, so that it is looked into only once
    path: Path | None = None
    upload: Any = None

    @contextmanager
    def file(self) -> Iterator[Path]:
        """The file on disk; a copy of an upload is readable by nobody else, and deleted at the end."""
        if self.path is not None:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="quantoscope-") as folder:
            copy = Path(folder) / self.name
            copy.write_bytes(self.upload.getbuffer())
            try:
                yield copy
            except UserError as error:  # the copy's whereabouts tell the visitor nothing
                raise UserError(str(error).replace(str(copy), self.name)) from error


def uploaded(upload: Any) -> Source:
    """What st.file_uploader returned."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", Path(upload.name).name)[-80:].lstrip(".-") or "file"
    return Source(name=name, key=str(upload.file_id), upload=upload)


def by_path(text: str) -> Source | None:
    """The file or folder at a path, None where the text is empty; UserError where nothing is there."""
    if not text.strip():
        return None
    path = followed(text)
    try:
        facts = path.stat()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}; give the path of one that exists"
        ) from error
    identity = f"{path.resolve()}:{facts.st_mtime_ns}:{facts.st_size}"
    return Source(name=path.name, key=hashlib.sha256(identity.encode()).hexdigest()[:16], path=path)


@contextmanager
def files_of(*sources: Source | None) -> Iterator[list[str]]:
    """The paths of several sources at once; "" for None."""
    first, *rest = sources
    with first.file() if first is not None else nullcontext() as path:
        here = [str(path) if path is not None else ""]
        if not rest:
            yield here
            return
        with files_of(*rest) as others:
            yield here + others
