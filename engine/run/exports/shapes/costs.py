"""Answers to what a run's network costs: bytes, operations, energy, time; and how small its codes get."""

from collections.abc import Sequence

from engine.run.exports.shapes.kinds import Count, Found, Maybe, are_of

NETWORKS = ("fp32", "quantized")
COUNTED = dict.fromkeys(NETWORKS, Count()) | {"how": str}
RANGES = ("weights_cached", "weights_dram")  # energy from the least to the most
ENERGY = {"arithmetic": float} | {name: [float] for name in RANGES}
RESOURCES = {
    "run": str, "sentence": str, "bytes": COUNTED, "bit_operations": COUNTED,
    "energy_uj": dict.fromkeys(NETWORKS, ENERGY) | {"source": str, "how": str},
    "latency_ms": Maybe({"float": float, "quantized": float, "threads": Count(), "how": str}),
    "latency_note": str,
}  # fmt: skip
FORMS = ("packed", "huffman", "sparse")
BYTES = dict.fromkeys((*FORMS, "entropy"), Count())
STORAGE = {
    "run": str, "exact": bool, "notes": [str],
    "layers": [{
        "path": str, "weights": Count(), "bits": Count(), "symbols": Count(), "zeros": float,
        "entropy_bits": float, "lengths?": [Count()], "payload_bits": float, "bytes": BYTES, "form": str,
        "grid_bytes": Count(), "ratio": float,
    }],
    "total": {
        "weights": Count(), "zeros": float, "entropy_bits": float, "bytes": BYTES, "chosen_bytes": Count(),
        "forms": dict.fromkeys(FORMS, Count()), "grid_bytes": Count(), "file_bytes": Count(),
        "float32_bytes": Count(), "ratio": float,
    },
    "crossing?": Maybe({
        "path": str, "weights": Count(), "sparse_from": Maybe(float),
        "rows": [{"zeros": float, "bytes": dict.fromkeys(FORMS, Count())}],
    }),
    "planes?": [{
        "bits": Count(), "bytes": Count(), "sqnr_db": float, "agreement": Maybe(float), "top1": Maybe(float),
    }],
}  # fmt: skip


def resources_fit(found: Found, _layers: Sequence[str]) -> bool:
    """Whether each range of energy has its two ends, in order."""
    ends = [found["energy_uj"][network][name] for network in NETWORKS for name in RANGES]
    return all(len(one) == 2 and one[0] <= one[1] for one in ends)


def storage_fits(found: Found, layers: Sequence[str]) -> bool:
    """Whether its layers are the run's, each in a form there is, and together what is told of all."""
    rows, total = found["layers"], found["total"]
    return (
        are_of([row["path"] for row in rows], layers)
        and all(row["form"] in FORMS for row in rows)
        and all(total[name] == sum(row[name] for row in rows) for name in ("weights", "grid_bytes"))
        and all(total["bytes"][form] == sum(row["bytes"][form] for row in rows) for form in BYTES)
        and total["chosen_bytes"] == sum(row["bytes"][row["form"]] for row in rows)
        and found["exact"]
        and all(
            row["bytes"]["packed"] > 0 for row in (found.get("crossing") or {"rows": []})["rows"]
        )
    )
