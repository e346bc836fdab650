"""Answers as no engine gives them, each made of a true one: the question, and what is done to its answer."""

import base64
from math import prod

from tests.run.exports.test_bundles import picture

PAGE = "data:text/html;base64,PHNjcmlwdD4="
PIXEL = f"data:image/png;base64,{base64.b64encode(picture('PNG')).decode()}"
EMPTY = {"rows": [], "columns": [], "cosines": []}


def at(command, *way, value=None, gone=False):
    """An answer in which what lies at the end of the way is another value, or gone."""

    def change(found):
        for step in way[:-1]:
            found = found[next(iter(found)) if step == "first" else step]
        if gone:
            found.pop(way[-1])
        else:
            found[next(iter(found)) if way[-1] == "first" else way[-1]] = value

    return command, change


def without(found, width):
    """All that was measured, but at one width."""
    found["widths"].remove(width)
    for row in found["layers"]:
        for by in (*row["values"].values(), *row["ranks"].values()):
            del by[str(width)]


def renamed(found, name):
    """The last measure by another name, wherever it is told of."""
    old = found["measures"][-1]
    found["measures"][-1] = name
    for table in (
        found["seconds"],
        *(row[k] for row in found["layers"] for k in ("values", "ranks")),
    ):
        table[name] = table.pop(old)
    for pair in found["agreement"]:
        pair["b"] = name if pair["b"] == old else pair["b"]
    found["best"] = None


def twice(found):
    """Every layer two times, the map with it."""
    matrix = found["matrix"]
    return {
        "layers": found["layers"] * 2,
        "matrix": {
            "rows": matrix["rows"] * 2, "columns": matrix["columns"] * 2,
            "cosines": [row * 2 for row in matrix["cosines"] * 2],
        },
    }  # fmt: skip


def named(found, *places):
    """The first layer's images at these places, and no pictures."""
    first = found["ranges"][0]["images"][0]
    found["ranges"][0]["images"] = [first | {"image": place} for place in places]
    found["pictures"] = {}


def flat(channel):
    """All weights and levels of the channel at 0."""
    channel.update(low=0.0, high=0.0, values=[0.0], levels=[0.0])


def flattened(maps):
    """Their rows one behind the other."""
    maps["shape"][3:] = [prod(maps["shape"][3:])]


def too_wide(found):
    """A width at which there are more tones than maps have."""
    return 2**22 // prod(found["maps"]["shape"][:3]) + 1


def resize(found, width):
    """Maps of this width, with as many bytes."""
    shape = [*found["maps"]["shape"][:3], 1, width]
    found["maps"] |= {"shape": shape, "data": base64.b64encode(bytes(prod(shape))).decode()}


FORGED = {
    "an answer of nothing": ("explain", lambda found: found.clear()),
    "layers that are a word": at("explain", "layers", value="all"),
    "a layer without its verdict": at("explain", "layers", 0, "verdict", gone=True),
    "a share that is a word": at("explain", "layers", 1, "share", value="<b>"),
    "a share of three parts": at("explain", "layers", 1, "share", "weights", gone=True),
    "a number without end": at("explain", "layers", 0, "sqnr_accumulated_db", value=float("inf")),
    "more than an answer has": at("explain", "onload", value="x"),
    "images that are true": at("explain", "images", value=True),
    "a class below 0": at("predictions", "by_class", 0, "class", value=-7),
    "a band of one end": at("predictions", "agreement_band", value=[0.5]),
    "margins of no bins": at("predictions", "margins", value={"teacher": [], "student": []}),
    "an image of fewer layers": at("predictions", "growth", "usual", "mean", value=[0.5]),
    "an image that is a word": at("predictions", "growth", "images", value={"<b>": []}),
    "a picture from elsewhere": at("predictions", "pictures", value={"0": "https://example.org/a.webp"}),
    "a picture that is a page": at("predictions", "pictures", value={"0": PAGE}),
    "a picture of nothing": at("predictions", "pictures", value={"0": "data:image/webp;base64,AAAA"}),
    "a picture that is half a one": at("predictions", "pictures", value={"0": "data:image/png;base64,A"}),
    "a picture that is not told": at("predictions", "pictures", value={"0": None}),
    "a picture of a word": at("predictions", "pictures", value={"<b>": PIXEL}),
    "a picture of a very long number": at("predictions", "pictures", value={"9" * 13: PIXEL}),
    "more than a browser counts": at("predictions", "confusion_difference", value=[
        {"true": 0, "answer": 0, "difference": 2**60}]),
    "a layer that no table knows": at("bits", "layers", 0, "path", value="other"),
    "tables of fewer widths": at("bits", "tables", "noise", 0, value=[[1.0]]),
    "bits of no width": at("bits", "planned", "weight_bits", "first", value=77),
    "no layer at all": at("bits", "tables", "paths", value=[]),
    "energy of one end": at("resources", "energy_uj", "fp32", "weights_dram", value=[1.0]),
    "energy that ends before it begins": at("resources", "energy_uj", "fp32", "weights_cached", value=[2, 1]),
    "bytes below 0": at("resources", "bytes", "fp32", value=-1),
    "an energy of four hundred digits": at("resources", "energy_uj", "fp32", "arithmetic", value=10**400),
    "a time that is a word": at("resources", "latency_ms", value={"float": "<b>"}),
    "codes of another's layer": at("storage", "layers", 0, "path", value="other"),
    "codes of no layer": at("storage", "layers", value=[]),
    "codes of one layer twice": ("storage", lambda found: found["layers"].append(found["layers"][0])),
    "a form that there is not": at("storage", "layers", 0, "form", value="zip"),
    "fewer weights than all layers": at("storage", "total", "weights", value=1),
    "grids of other bytes": at("storage", "total", "grid_bytes", value=1),
    "codes of other bytes": at("storage", "total", "bytes", "huffman", value=1),
    "the smallest of other bytes": at("storage", "total", "chosen_bytes", value=1),
    "codes that were not read back": at("storage", "exact", value=False),
    "one width twice": at("sensitivities", "widths", value=[2, 3, 4, 4, 6, 8]),
    "not the width that is shown": ("sensitivities", lambda found: without(found, 4)),
    "a measure that there is not": ("sensitivities", lambda found: renamed(found, "<b>")),
    "ranks of another's layer": at("sensitivities", "layers", 0, "path", value="other"),
    "a layer without a measure": at("sensitivities", "layers", 0, "ranks", "kl", gone=True),
    "a layer without a width": at("sensitivities", "layers", 1, "values", "kl", "4", gone=True),
    "a rank of none": at("sensitivities", "layers", 0, "ranks", "kl", "4", value=0),
    "a rank behind the last": at("sensitivities", "layers", 0, "ranks", "kl", "4", value=99),
    "measures that agree with none": at("sensitivities", "agreement", 0, "b", value="other"),
    "a measure without its time": at("sensitivities", "seconds", "kl", gone=True),
    "grids without their time": at("sensitivities", "seconds", "fitting", gone=True),
    "a best that was not measured": at("sensitivities", "best", value="other"),
    "weights of another run": at("similarity", "other", value="another"),
    "no weights": ("similarity", lambda found: found.update(layers=[], matrix=EMPTY)),
    "a layer's weights twice": ("similarity", lambda found: found.update(twice(found))),
    "weights against other names": at("similarity", "matrix", "columns", 0, value="other"),
    "layers that are in no map": at("similarity", "layers", 0, "path", value="other"),
    "a map of fewer rows": at("similarity", "matrix", "cosines", 0, gone=True),
    "a row of fewer cosines": at("similarity", "matrix", "cosines", 0, value=[1.0]),
    "a drift of no cosine": at("similarity", "layers", 0, "chain", value=None),
    "a correlation beyond one": at("similarity", "drift_rank", value=-1.5),
    "the range of another's layer": at("ranges", "ranges", 0, "layer", value="other"),
    "the range of a layer twice": ("ranges", lambda found: found["ranges"].append(found["ranges"][0])),
    "an image that counts twice": ("ranges", lambda found: named(found, 1, 1)),
    "more images than stand in a row": ("ranges", lambda found: named(found, 0, 1, 2, 3)),
    "a picture of no image": at("ranges", "pictures", "7000", value=PIXEL),
    "an image that is no number": at("ranges", "pictures", "<b>", value=PIXEL),
    "an image of an odd number": at("ranges", "pictures", "²", value=PIXEL),
    "a range's picture from elsewhere": at("ranges", "pictures", "first", value="https://example.org/a.webp"),
    "a look into another's layer": at("tensors", "layer", value="other"),
    "images of no kind": at("tensors", "input", "sources", value=[]),
    "images of a kind that there is not": at("tensors", "input", "sources", 0, "name", value="<b>"),
    "shares of nothing": at("tensors", "input", "sources", 0, "shares", value=[]),
    "a channel of one end": at("tensors", "input", "sources", 0, "channels", "low", value=[0.0]),
    "no channel": at("tensors", "input", "sources", 0, "channels", value={"low": [], "high": []}),
    "a grid of no level": at("tensors", "input", "levels", value=[]),
    "pairs of no cell": at("tensors", "output", "pairs", "counts", value=[]),
    "pairs that are no square": at("tensors", "weights", "pairs", "counts", 0, value=[1]),
    "weights of no channel": at("tensors", "weights", "one_by_one", value=[]),
    "a channel without its grid": at("tensors", "weights", "channels", "grid_low", value=[]),
    "a weight of no level": at("tensors", "weights", "one_by_one", 0, "levels", value=[]),
    "a channel of no weight": at("tensors", "weights", "one_by_one", 0, "values", value=[]),
    "a channel without a range": ("tensors", lambda found: flat(found["weights"]["one_by_one"][0])),
    "a weight beyond its range": at("tensors", "weights", "one_by_one", 0, "values", 0, value=1e9),
    "maps in four dimensions": ("tensors", lambda found: flattened(found["maps"])),
    "maps of another count": ("tensors", lambda found: found["maps"]["shape"].reverse()),
    "maps of fewer errors": at("tensors", "maps", "errors", value=[0.1]),
    "maps of fewer scales": at("tensors", "maps", "low", value=[0.0]),
    "maps of no pixel": ("tensors", lambda found: resize(found, 0)),
    "maps of too many pixels": ("tensors", lambda found: resize(found, too_wide(found))),
    "maps averaged from one side": at("tensors", "maps", "averaged_from", value=[8]),
    "maps of fewer bytes": at("tensors", "maps", "data", value="AAAA"),
    "maps that are no bytes": at("tensors", "maps", "data", value="é"),
    "an image that is markup": at("tensors", "maps", "pictures", 0, value='x" onerror="alert(1)'),
}  # fmt: skip
