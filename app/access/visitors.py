"""Who is who: a browser is known by a secret in its cookie; what it starts is its own.

From the secret follows the visitor's key, which may be told to others: it opens what is the visitor's. In
folders lies only the key's hash. Where the app is not shared, whoever sees a page is the host.
"""

import hashlib
import hmac
import re
import secrets
from base64 import b32encode
from pathlib import Path

import streamlit as st

from app.access.sharing import host_key, sharing, spaced
from engine.core.errors import UserError
from engine.run.folders.owner import HOST, owner_of

COOKIE = "quantoscope_visitor"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST = 10_000  # visitors who have typed a key since the start
_opened: dict[str, set[str]] = {}  # whose keys a visitor has given, by the visitor


def new_token() -> str:
    """A secret for a browser that has none."""
    return secrets.token_urlsafe(32)


def is_token(text: str | None) -> bool:
    """Whether a cookie's value can be one of ours."""
    return bool(text and _TOKEN.fullmatch(text))


def key_of(token: str) -> str:
    """The key that the browser's user may tell to others."""
    digest = hashlib.sha256(b"quantoscope key " + token.encode()).digest()
    return spaced(b32encode(digest[:10]).decode())


def owner_by(key: str) -> str:
    """What is written into the folders of whoever has this key."""
    return hashlib.sha256(b"quantoscope owner " + _bare(key).encode()).hexdigest()


def token() -> str:
    """The secret of the browser that looks at this page; empty where it sent none."""
    sent = st.context.cookies.get(COOKIE, "")
    return sent if is_token(sent) else ""


def own_key() -> str:
    """The key of whoever looks at this page; empty where they need none, or their browser keeps no cookie."""
    return key_of(token()) if sharing().shared and token() else ""


def is_host() -> bool:
    """Whether every run is open to whoever looks at this page."""
    return not sharing().shared or _is_open(HOST)


def own_mark() -> str:
    """Whose a run is that is started from this page; UserError where nobody could be told to own it."""
    if is_host():
        return HOST
    if not token():
        raise UserError(
            "This browser sent no cookie, so the run would be nobody's; allow cookies for this address and "
            "reload the page"
        )
    return owner_by(own_key())


def may_control(folder: Path) -> bool:
    """Whether whoever looks at this page may steer, replace or delete what lies in the folder."""
    if is_host():
        return True
    owner = owner_of(folder)
    return owner != HOST and (owner == _mine() or _is_open(owner))


def check_control(folder: Path, what: str) -> None:
    """UserError where `may_control` says no."""
    if not may_control(folder):
        raise UserError(
            f"{what} is somebody else's; give its owner's key, or the host's, to change it"
        )


def give_key(text: str, folder: Path) -> bool:
    """Whether the key is the host's or the folder's owner's; then this browser may control what is theirs."""
    if not _mine():
        return False
    if hmac.compare_digest(_bare(text).encode(), _bare(host_key()).encode()):
        owner = HOST
    elif hmac.compare_digest(owner_by(text).encode(), owner_of(folder).encode()):
        owner = owner_by(text)
    else:
        return False
    while len(_opened) >= _MOST:
        _opened.pop(next(iter(_opened)))
    _opened.setdefault(_mine(), set()).add(owner)
    return True


def _mine() -> str:
    return owner_by(key_of(token())) if token() else ""


def _is_open(owner: str) -> bool:
    return bool(_mine()) and owner in _opened.get(_mine(), ())


def _bare(key: str) -> str:
    return "".join(key.split()).replace("-", "").upper()
