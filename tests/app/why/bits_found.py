"""An answer of `bits` for a network of five layers, two of which read one input."""

from typing import Any

PATHS = ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer1.0.shortcut", "fc"]
WIDTHS = range(2, 9)
SQNR = {str(bits): 6.0 * bits for bits in WIDTHS}
PLANNED = {
    "weight_bits": dict(zip(PATHS, (8, 4, 4, 4, 8), strict=True)),
    "activation_bits": dict(zip(PATHS, (None, 4, 4, 4, 8), strict=True)),
}


def noise(weight: int, read: int) -> float:
    return float(4.0**-weight + (0.0 if read == 0 else 4.0**-read))


FOUND: dict[str, Any] = {
    "run": "r", "notes": [], "planned": PLANNED,
    "held": {"weight_bits": {"conv1": 8, "fc": 8}, "activation_bits": {"conv1": None, "fc": 8}},
    "shared_inputs": [["layer1.0.conv1", "layer1.0.shortcut"]],
    "layers": [
        {"path": path, "sqnr_db": SQNR, "cliff": cliff}
        for path, cliff in zip(PATHS, (3, None, 8, 4, 3), strict=True)
    ],
    "tables": {
        "paths": PATHS, "signal": [1.0] * 5,
        "noise": [[[noise(w, a) for a in (*WIDTHS, 0)] for w in WIDTHS] for _ in PATHS],
        "weights": [1000] * 5, "rest_bytes": [10] * 5, "macs": [7] * 5,
        "kl_weights": [[2.0**-w for w in WIDTHS]] * 5, "kl_inputs": [[*(2.0**-a for a in WIDTHS), 0.0]] * 5,
    },
    "front": [
        {"size_bytes": 2800 + 500 * k, "predicted_kl": 0.5 / (k + 1),
         "activation_bits": PLANNED["activation_bits"],
         "weight_bits": PLANNED["weight_bits"] | {"layer1.0.conv1": 2 + k},
         "measured": {"kl": 0.3, "agreement": 0.9} if k == 1 else None}
        for k in range(3)
    ],
}  # fmt: skip
