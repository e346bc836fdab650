"""What the command line shows of a diagnosis and of an estimate, for a person."""

from typing import Any

from engine.run.commands.printed.tables import duration, table

_MARKS = {"problem": "PROBLEM", "warning": "warning", "note": "note"}


def diagnosis_text(answer: dict[str, Any]) -> str:
    """Facts, findings, methods and the layers, one below the other."""
    parts = (_facts(answer["facts"]), _findings(answer["findings"]), _methods(answer["methods"]))
    return "\n\n".join((*parts, _layers(answer["layers"])))


def _facts(facts: dict[str, Any]) -> str:
    rows = [
        ("network", facts["title"]),
        ("parameters", f"{facts['parameters']:,}"),
        ("MACs an image", f"{facts['macs']:,}"),
        ("layers", f"{facts['layers']} in {facts['blocks']} blocks"),
        ("BatchNorm layers", facts["batchnorm_layers"]),
        ("image", " x ".join(map(str, facts["image_shape"]))),
        ("mean, std", f"{_list(facts['mean'])}; {_list(facts['std'])}"),
        ("outputs", facts["outputs"] if facts["outputs"] is not None else "-"),
        ("float weights", f"{facts['weight_bytes'] / 1e6:.2f} MB"),
    ]
    return table(rows)


def _findings(findings: list[dict[str, Any]]) -> str:
    if not findings:
        return "nothing found"
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding['level']]}: {finding['title']}. {finding['message']}.")
        lines.append(f"    {finding['advice']}")
    return "\n".join(lines)


def _methods(methods: list[dict[str, Any]]) -> str:
    rows = [(m["kind"], m["name"], m["reason"] or "can work") for m in methods]
    return table(rows)


def _layers(layers: list[dict[str, Any]]) -> str:
    head = (
        "layer",
        "kind",
        "weight",
        "parameters",
        "MACs",
        "BatchNorm",
        "then",
        "range",
        "ratio",
        "bits",
    )
    rows = [
        (
            layer["path"], layer["kind"], "x".join(map(str, layer["shape"])), f"{layer['parameters']:,}",
            f"{layer['macs']:,}", _batchnorm(layer), layer["activation"] or "-",
            f"{layer['low']:.3g} .. {layer['high']:.3g}", _ratio(layer), bits_word(layer),
        )
        for layer in layers
    ]  # fmt: skip
    return table([head, *rows])


def _batchnorm(layer: dict[str, Any]) -> str:
    if layer["batchnorm_behind"]:
        return "behind"
    return "before" if layer["batchnorm_before"] else "-"


def _ratio(layer: dict[str, Any]) -> str:
    return "-" if layer["range_ratio"] is None else f"{layer['range_ratio']:.3g}"


def bits_word(layer: dict[str, Any]) -> str:
    """For example W4A4; W8A- where the input stays float."""
    activation = layer["activation_bits"]
    return f"W{layer['weight_bits']}A{'-' if activation is None else activation}"


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def estimate_text(answer: dict[str, Any]) -> str:
    """Time and memory, with what they go by."""
    if answer["total_s"] is None:
        return "nothing is known of this network yet"
    low, likely, high = answer["total_s"]
    rows = [("time", f"{duration(likely)}, between {duration(low)} and {duration(high)}")]
    rows += [(f"  {stage}", duration(seconds)) for stage, seconds in answer["seconds"].items()]
    if answer["memory_mb"] is not None:
        low, likely, high = answer["memory_mb"]
        rows.append(
            ("memory", f"{likely / 1000:.2f} GB, between {low / 1000:.2f} and {high / 1000:.2f}")
        )
    rows.append(("how", answer["source"]))
    if answer["warning"]:
        rows.append(("WARNING", answer["warning"]))
    return table(rows)
