"""What the file of an answer is called, in a bundle and in the folder of a run that came in one."""

import hashlib
import re

ANSWERS = "answers"  # the folder
OF_LAYERS = (
    "tensors"  # the one question that is put about a layer, whose path may hold what no file may
)
OF_LAYER_FILE = re.compile(rf"{ANSWERS}/{OF_LAYERS}-[0-9a-f]{{12}}\.json")


def answer_file(question: str, layer: str = "") -> str:
    """Its place in the bundle, and in the run's folder."""
    digest = f"-{hashlib.sha256(layer.encode()).hexdigest()[:12]}" if layer else ""
    return f"{ANSWERS}/{question}{digest}.json"
