"""The pages stay light: nothing of the app brings torch into their process."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import importlib, pathlib, sys
for path in sorted(pathlib.Path("app").rglob("*.py")):
    name = ".".join(path.with_suffix("").parts)
    if "views" not in path.parts and path.name not in ("main.py", "serve.py"):
        importlib.import_module(name.removesuffix(".__init__"))
    else:
        compile(path.read_text(), path, "exec")
assert "torch" not in sys.modules
"""


def test_app_imports_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    text = "".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    assert "import torch" not in text
