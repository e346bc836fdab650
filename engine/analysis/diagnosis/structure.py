"""What the data flow, the output and the size of the images tell."""

from collections.abc import Iterator, Sequence

from engine.analysis.diagnosis.anatomy import Anatomy
from engine.analysis.diagnosis.finding import Finding, and_others

_JUDGED = {
    "image": "by SQNR and PSNR against the float network's",
    "segmentation": "pixel by pixel, as scores of classes",
    "embedding": "by the cosine with the float network's",
}


def outputs(anatomy: Anatomy, classes: int, output: str) -> Iterator[Finding]:
    last = anatomy.layers[-1].path if anatomy.layers else ""
    if output in _JUDGED:
        yield Finding(
            level="note", kind="no-logits", title="The output is no row of logits",
            message=f"The network gives no scores of an image's classes: its output is of the kind {output}, "
            f"and judged {_JUDGED[output]}",
            advice="Methods that read scores of classes cannot work on it. If it is something else, say so: "
            "model.output.",
            layer=last,
        )  # fmt: skip
    elif anatomy.outputs is None:
        yield Finding(
            level="problem", kind="no-logits", title="The output is no row of logits",
            message="The network does not return one number per class for each image",
            advice="Wrap it, so that it returns a tensor of the shape [images, classes].",
            layer=last,
        )  # fmt: skip
    elif classes and classes != anatomy.outputs:
        yield Finding(
            level="problem", kind="classes", title="Names and outputs do not match",
            message=f"{last} has {anatomy.outputs} outputs, but there are {classes} class names",
            advice="Take the checkpoint of this data set, or give the names in the order of its outputs.",
            layer=last,
        )  # fmt: skip


def structure(anatomy: Anatomy) -> Iterator[Finding]:
    if anatomy.untraceable:
        yield Finding(
            level="warning", kind="untraceable", title="The data flow is hidden",
            message=anatomy.untraceable,
            advice="Where Python decides by values, each layer is quantized by itself, and slowly: replace "
            "such ifs and loops by modules.",
        )  # fmt: skip
    if anatomy.unused:
        yield Finding(
            level="note", kind="unused-layers", title="Layers that are never called",
            message=f"{anatomy.unused[0]} is not reached by the forward pass"
            + and_others(len(anatomy.unused) - 1, "layer"),
            advice="Usual for the auxiliary heads of training: they are left out. Else look at forward().",
            layer=anatomy.unused[0], layers=tuple(anatomy.unused),
        )  # fmt: skip
    again = [layer for layer in anatomy.layers if layer.calls > 1]
    if again:
        yield Finding(
            level="warning", kind="called-twice", title="A layer that is called more than once",
            message=f"{again[0].path} runs {again[0].calls} times in one pass"
            + and_others(len(again) - 1, "layer"),
            advice="All its calls share one activation grid: give each place a layer of its own if their "
            "inputs differ much.",
            layer=again[0].path, layers=tuple(layer.path for layer in again),
        )  # fmt: skip


def input_size(image_shape: Sequence[int]) -> Iterator[Finding]:
    odd = [side for side in image_shape[1:] if side % 4]
    if odd:
        yield Finding(
            level="note", kind="image-side", title="Image sides that 4 does not divide",
            message=f"Images are {image_shape[1]} x {image_shape[2]} pixels",
            advice="Generators grow images by factors of two from a quarter of their size: they make them "
            "a little larger and crop.",
        )  # fmt: skip
