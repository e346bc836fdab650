"""The entry: `streamlit run app/serve.py` serves the pages and, beside them, the routes of /api."""

import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # Streamlit puts only this file's own folder there
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from app.access.sharing import greeting, sharing  # noqa: E402
from app.server.guard import Guard  # noqa: E402
from app.server.home import Home  # noqa: E402
from app.server.routes import lifespan, routes  # noqa: E402
from app.server.watch import Watches  # noqa: E402
from engine.core.errors import UserError  # noqa: E402

_WATCHES = Watches()
app = st.App(
    ROOT / "app" / "main.py",
    routes=routes(_WATCHES),
    middleware=[Middleware(Guard), Middleware(Home)],
    lifespan=partial(lifespan, _WATCHES),
)
if sharing().shared:
    try:
        sys.stderr.write(f"{greeting()}\n")
    except UserError as error:
        sys.exit(str(error))
