"""What a run was judged by, in words and numbers: by what its network gives."""

from typing import Any

from app.charts.layers.levels import error_share
from engine.core.percent import BAND, percent
from engine.run.questions.better import better
from engine.run.stages.judging.one_class import says_little

Metric = tuple[str, str, str]  # label, value, help

_IMAGES = "The output is an image, so it is compared with the float network's, pixel by pixel."


def kind_of(result: dict[str, Any]) -> str:
    """What the network gives; older runs say it by what they measured."""
    known = "embedding" if result.get("embedding_cosine") else "logits"
    return str(result.get("output_kind") or known)


def metrics(result: dict[str, Any]) -> list[Metric]:
    """Up to three numbers of a network that is not judged by classes; empty of one that is."""
    kind, judged = kind_of(result), _judged(result)
    if kind == "image" and result.get("psnr_db") is not None:
        if result.get("truth_psnr_db"):
            return _beside_the_truth(result)
        return [
            ("Output SQNR", f"{result['output_sqnr_db']:.1f} dB",
             f"{_IMAGES} Signal to quantization noise, {judged}. Higher is better."),
            ("Output PSNR", f"{result['psnr_db']:.1f} dB",
             "The squared range of the float network's outputs over the mean squared error. Higher: better."),
            ("Worst image", f"{result['output_sqnr_least_db']:.1f} dB", "The SQNR of the worst image."),
        ]  # fmt: skip
    cosine = result.get("embedding_cosine")
    if kind == "embedding" and cosine and result.get("verification"):
        return [
            *_verification(result["verification"], result),
            ("Cosine of the embeddings", f"{cosine['mean']:.4f}",
             f"Teacher's to student's, the mean {judged}."),
        ]  # fmt: skip
    if kind == "embedding" and cosine:
        return [
            ("Cosine of the embeddings", f"{cosine['mean']:.4f}",
             f"Teacher's to student's, the mean {judged}."),
            ("Least cosine", f"{cosine['least']:.4f}",
             "That of the image whose embedding has turned furthest."),
            ("Images judged on", f"{result['test_images']:,}", str(result.get("test_set") or "")),
        ]  # fmt: skip
    return []


def error_words(result: dict[str, Any]) -> str:
    """How large the error of an image's output is beside the output; empty for other outputs."""
    if kind_of(result) != "image" or result.get("output_sqnr_db") is None:
        return ""
    return f"an error of {percent(error_share(result['output_sqnr_db']))} of the output"


def _verification(found: dict[str, Any], result: dict[str, Any]) -> list[Metric]:
    names = {"quantized": "Error of verification", "fp32": "Error as float"}
    what = (
        f"Of {found['pairs']:,} pairs of images ({result.get('test_set') or 'test images'}) the share of "
        "which the embeddings say wrongly whether both show the same."
    )
    return [
        (label, percent(found['error'][name], 2), f"{what} {_between(found['band'][name])}. Equal error "
         f"rate: {percent(found['eer'][name], 2)}.")
        for name, label in names.items()
    ]  # fmt: skip


def verification_words(found: dict[str, Any]) -> str:
    """How often both networks judge pairs of images wrongly, and whether the difference may be chance."""
    changed = found["change"]
    low, high = (100 * end for end in changed["band"])
    sure = (
        f"{low:.2f} to {high:.2f} points more errors, **more than chance**"
        if low > 0
        else f"{-high:.2f} to {-low:.2f} points fewer errors, **more than chance**"
        if high < 0
        else f"**not distinguishable** ({low:+.2f} to {high:+.2f} points)"
    )
    judged = [
        f"{name} **{percent(found['error'][key], 2)}** wrongly ({_between(found['band'][key])})"
        for name, key in (("the float network judges", "fp32"), ("the quantized one", "quantized"))
    ]
    return (
        f"Of {found['pairs']:,} pairs of test images {judged[0]}, {judged[1]}. "
        f"{changed['lost']} pairs that were right are wrong now, {changed['won']} the other way round: "
        f"{sure}."
    )


def _between(band: list[float]) -> str:
    return f"{BAND}: {percent(band[0], 2)} to {percent(band[1], 2)}"


def standing(result: dict[str, Any]) -> str:
    """What a run without an accuracy is judged by, in a line; else, and unfinished, empty."""
    told = metrics(result) if result else []
    if not told:
        return ""
    label, value, _ = told[0]
    pairs = result.get("verification")
    band = f" ({_between(pairs['band']['quantized'])})" if pairs else ""
    return f"{label} {value}{band}"


def brief_note(result: dict[str, Any]) -> str:
    """What a run without an accuracy has beside its one number, in a few words."""
    pairs = result.get("verification")
    if not pairs:
        return _of_what(result)
    low, high = pairs["change"]["band"]
    than = "more than" if low > 0 else "fewer than" if high < 0 else "as many, but for chance, as"
    return f"{than} the teacher's {percent(pairs['error']['fp32'], 2)}"


def _of_what(result: dict[str, Any]) -> str:
    """What the one number is of, where it is no accuracy."""
    error = error_words(result)
    told = {
        "image": f"of signal to noise{f': {error}' if error else ''}",
        "embedding": "between the float network's embeddings and these",
    }
    return told.get(kind_of(result), "there are no labels to be right by")


def _beside_the_truth(result: dict[str, Any]) -> list[Metric]:
    """Of a network whose images should be known ones; PSNR of pixels in [0, 1], the mean over images."""
    psnrs, judged = result["truth_psnr_db"], _judged(result)
    return [
        ("Output SQNR", f"{result['output_sqnr_db']:.1f} dB",
         f"{_IMAGES} Signal to quantization noise, {judged}. Higher is better."),
        ("PSNR to the truth", f"{psnrs['quantized']:.2f} dB",
         f"How near the quantized network's images are to those that it should give: the mean {judged}. "
         "Higher is better."),
        ("Float · bicubic, dB", f"{psnrs['float']:.1f} · {psnrs['bicubic']:.1f}",
         "PSNR to the truth of the float network's images, and of the small images enlarged by bicubic "
         "interpolation, without any network."),
    ]  # fmt: skip


def brief(result: dict[str, Any]) -> str:
    """The one number in a few letters; empty where nothing was compared."""
    told = metrics(result)
    if told:
        what = "wrong pairs" if result.get("verification") else "cosine"
        return f"{told[0][1]}{'' if kind_of(result) == 'image' else f' {what}'}"
    if result.get("agreement") is None:
        return ""
    return "one class alone" if says_little(result) else f"{percent(result['agreement'])} agree"


def sentence(result: dict[str, Any]) -> str:
    """Why there is no accuracy, and what counts instead."""
    if result.get("agreement") is None and not metrics(result):
        return "Nothing was compared: there were no images to judge by."
    told = {
        "image": f"This network gives images, not classes. {_IMAGES}",
        "embedding": "This network gives embeddings, not classes: what counts is that their directions stay.",
        "segmentation": "This network gives a class for every pixel: agreement is the share of pixels that "
        "teacher and student give the same class.",
        "one-logit": "This network gives one number an image: its sign is the answer, and agreement the "
        "share of images of the same sign.",
    }
    pairs = result.get("verification")
    if kind_of(result) == "embedding" and pairs:
        return f"{told['embedding']} {verification_words(pairs)}"
    without = "" if kind_of(result) in ("image", "embedding") else " " + _no_accuracy(result)
    return (told.get(kind_of(result), "") + without).strip()


def compared(result: dict[str, Any], other: dict[str, Any]) -> str:
    """Two runs of one network, by what it is judged by: this one, and with nearest rounding."""
    mine, its = metrics(result), metrics(other)
    if mine and its:
        (label, value, _), (_, second, _) = mine[0], its[0]
        told = f"{label}: {value}; with nearest rounding {second}."
        if result.get("verification") and other.get("verification"):
            told += f" {better(result, other, ('This run', 'nearest rounding'))['sentence']}"
        return told
    if result.get("agreement") is None or other.get("agreement") is None:
        return "Nothing was compared in one of the two runs: there were no images to judge by."
    return (
        f"{_no_accuracy(result)} Teacher and student agree on {share_of(result)}; "
        f"with nearest rounding on {share_of(other)}."
    )


def share_of(result: dict[str, Any]) -> str:
    """The agreement, and of what: images or pixels."""
    each = "pixels" if kind_of(result) == "segmentation" else "images"
    return f"{percent(result['agreement'])} of the {each}"


def agreement_words(result: dict[str, Any]) -> str:
    """The agreement in per cent; "unclear" where it is high for a teacher that gives one class alone."""
    return "unclear" if says_little(result) else percent(result["agreement"])


def agreement_help(result: dict[str, Any]) -> str:
    """What an agreement is a share of, how sure it is, and what it does not tell."""
    each = "pixels" if kind_of(result) == "segmentation" else "images"
    words = f"The share of {each} that teacher and student give the same class, {_judged(result)}."
    band = result.get("agreement_band")
    if band:
        words += f" {BAND}: {percent(band[0])} to {percent(band[1])}."
    if says_little(result):
        words += (
            f" {percent(result['agreement'])} are alike, but the float network gives all {each} the same "
            "class: that says little. Look at the KL."
        )
    return words


def _no_accuracy(result: dict[str, Any]) -> str:
    if str(result.get("test_set") or "").startswith("other "):
        return (
            f"There are no test images: teacher and student are compared on {_number(result)} images that "
            "were made like the others, and not calibrated on. So there is an agreement, but no accuracy."
        )
    return "The test images have no labels, so there is an agreement, but no accuracy."


def _number(result: dict[str, Any]) -> str:
    return f"{result['test_images']:,}"


def _judged(result: dict[str, Any]) -> str:
    where = f" ({result['test_set']})" if result.get("test_set") else ""
    return f"of {_number(result)} images{where}"
