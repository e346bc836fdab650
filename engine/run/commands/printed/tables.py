"""Results and facts as text: one line a number, columns as wide as their widest cell."""

from collections.abc import Iterable, Sequence
from typing import Any

from engine.core.percent import percent
from engine.run.stages.judging.one_class import says_little


def duration(seconds: float) -> str:
    """For example "0.4 s", "12 s", "3 min 5 s", "2 h 10 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def result_table(result: dict[str, Any]) -> str:
    """A finished run's numbers, one a line, for a person."""
    size = result["size_bytes"]
    rows = [
        ("run", result["run"]),
        ("network", result["model"]),
        ("synthesis", result["synthesis"]),
        ("quantization", result["quantization"]),
        ("bits", f"W{result['weight_bits']}A{result['activation_bits']}, seed {result['seed']}"),
        *_quality(result),
        ("judged on", _judged_on(result)),
        ("size", f"{size['fp32']:,} -> {size['quantized']:,} bytes"),
        *_work(result),
        ("time", ", ".join(_stage_time(result, k, s) for k, s in result["seconds"].items())),
        ("folder", result["folder"]),
    ]
    return table(rows)


def _judged_on(result: dict[str, Any]) -> str:
    name = result.get("test_set")
    return f"{result['test_images']} images" + (f": {name}" if name else "")


def _stage_time(result: dict[str, Any], stage: str, seconds: float) -> str:
    reused = (result.get("reused") or {}).get(stage)
    if reused:
        return f"{stage} reused ({duration(reused['seconds'])} in run {reused['run']})"
    return f"{stage} {duration(seconds)}"


def _work(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What the codes and the products come to in bits; runs of older versions do not say."""
    stored, operations = result.get("stored_bits"), result.get("bit_operations")
    rows = []
    if stored:
        parts = f"codes {stored['codes']:,}, grids {stored['grids']:,}, floats {stored['floats']:,}"
        rows.append(("stored bits", parts))
    if values := result.get("weight_values"):
        words = f"{values['unique']:,} different, entropy {values['entropy_bits']:.3f} bits"
        rows.append(("weight values", words))
    if operations:
        words = f"{operations['fp32']:.4g} -> {operations['quantized']:.4g} an image"
        rows.append(("bit operations", words))
    return rows


def _quality(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What is lost: of classes, or of embeddings where the network has no classes."""
    cosine = result.get("embedding_cosine")
    if result.get("psnr_db") is not None:
        worst = f"worst image {result['output_sqnr_least_db']:.2f} dB"
        return [
            ("SQNR of the output", f"{result['output_sqnr_db']:.2f} dB, {worst}"),
            ("PSNR of the output", f"{result['psnr_db']:.2f} dB"),
            *_truth(result.get("truth_psnr_db")),
        ]
    if cosine:
        words = f"mean {cosine['mean']:.4f}, least {cosine['least']:.4f}"
        return [*_verification(result), ("cosine of the embeddings", words)]
    band = result.get("top1_band") or {}
    kind = result.get("output_kind")
    if kind == "segmentation" or result["agreement"] is None:
        name = "agreement of the pixels" if kind == "segmentation" else "agreement"
        return [(name, _agreement(result)), *_divergence(result)]
    return [
        ("top-1 float", _share(result["fp32_top1"], band.get("fp32"))),
        ("top-1 quantized", _share(result["quantized_top1"], band.get("quantized"))),
        ("agreement", _agreement(result)),
        *_divergence(result),
    ]


def _verification(result: dict[str, Any]) -> list[tuple[str, str]]:
    """The share of pairs that an embedding judges wrongly, before and after; empty where none was judged."""
    found = result.get("verification")
    if not found:
        return []
    return [
        (f"error of verification, {name}", _share(found["error"][key], found["band"][key]))
        for name, key in (("float", "fp32"), ("quantized", "quantized"))
    ] + [("pairs of images", f"{found['pairs']:,}")]


def _truth(psnrs: dict[str, float] | None) -> list[tuple[str, str]]:
    """How near to the images that should have come out; nothing where those are not known."""
    if not psnrs:
        return []
    named = ", ".join(f"{name} {value:.2f}" for name, value in psnrs.items())
    return [("PSNR to the truth", f"{named} dB")]


def _agreement(result: dict[str, Any]) -> str:
    """With its band; where it says little, that it does."""
    told = _share(
        result["agreement"], result.get("agreement_band"), "not known: nothing was compared"
    )
    if says_little(result):
        return f"unclear: the float network gives one class alone ({told} alike)"
    if result.get("answers") == 1:
        return f"{told}; the float network gives one class alone"
    return told


def _divergence(result: dict[str, Any]) -> list[tuple[str, str]]:
    kl, sqnr = result.get("logit_kl"), result.get("output_sqnr_db")
    rows = [] if kl is None else [("KL of the logits", f"{kl:.4g} nats")]
    return rows if sqnr is None else [*rows, ("SQNR of the logits", f"{sqnr:.2f} dB")]


def _share(
    share: float | None,
    band: Sequence[float] | None = None,
    unknown: str = "not known: the images have no labels",
) -> str:
    if share is None:
        return unknown
    between = f" (95 %: {band[0] * 100:.2f} to {band[1] * 100:.2f})" if band else ""
    return f"{percent(share, 2)}{between}"


def facts_table(facts: dict[str, Any], indent: str = "") -> str:
    """Nested facts as lines of "name: value", for a person."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{name}:", facts_table(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for one in value:
                lines += [f"{indent}{name}:", facts_table(one, indent + "  ")]
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            lines.append(f"{indent}{name}: {'-' if shown in (None, '', {}) else shown}")
    return "\n".join(lines)


def markdown(rows: Iterable[Sequence[str]]) -> str:
    """The rows, their head first, as a table of Markdown; columns that are empty below it are left out."""
    head, *cells = [tuple(row) for row in rows]
    used = [at for at in range(len(head)) if any(row[at] for row in cells)]
    lines = [f"| {' | '.join(row[at] for at in used)} |" for row in (head, *cells)]
    return "\n".join([lines[0], "|---" * len(used) + "|", *lines[1:]])


def table(rows: Iterable[Sequence[object]]) -> str:
    """The rows as columns of text, each as wide as its widest cell."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
