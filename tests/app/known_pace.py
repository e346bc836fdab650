"""Measured steps as `python -m engine pace` gives them, for pages that would measure them."""

from typing import Any

MEASURING = ".measuring"  # a file in the runs folder of tests.app.serve

PACE: dict[str, Any] = {
    "synthesis": {
        "planned": [9, 9], "asked": 9, "step_s": [1.0, 0.0], "memory_mb": [300.0, 2.0], "busy": 4.0,
    },
    "quantization": {
        "blocks": 3, "batch": 8, "images": 16, "asked": 10, "bits_s": 0.0, "bits_once_s": 0.0,
        "learned": [{"knob": "steps", "takes": "batch", "s": 2.0}], "weights_s": 1.0, "once_s": 5.0,
        "forward_s": 0.01, "held_mb": 1.0, "start_mb": 100.0, "memory_mb": 48.0, "load_s": 4.0,
        "test_images": 1000, "busy": 1.0,
    },
}  # fmt: skip
