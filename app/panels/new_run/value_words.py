"""What the values of menus mean, in words: by the setting's name and the value that a recipe holds."""

from app.engine_calls.choices import title_of

EDGES = {
    "brecq": "First and last layer's weights, second layer's input, last input",
    "qdrop": "First and last layer's weights, last input",
    "all": "None: every layer alike",
}
EDGES_HELP = (
    "Which layers keep 8 bits whatever is chosen: the first and the last are small and easily hurt. The "
    "first choice is that of Li et al., BRECQ, ICLR 2021; the second that of Wei et al., QDrop, ICLR 2022."
)
RANGES = {
    "mse": "smallest squared error",
    "min-max": "smallest to largest value",
    "percentile": "all but the rarest values",
    "kl": "most alike histogram",
    "kl-full-range": "most alike histogram, what is clipped counted",
    "peak": "mean of each image's largest",
    "peak-percentile": "mean of each image's percentile",
}
WORDS = {
    "weight_range": RANGES,
    "activation_range": RANGES,
    "activation_zero": {
        "none": "none: both sides of 0 alike",
        "searched": "searched, where values below 0 are few",
    },
    "batchnorm": {
        "own": "as the quantizer behind it does",
        "none": "no",
        "replace": "by the images' statistics",
        "momentum": "by a running mean",
        "delta": "by what quantization shifted",
    },
    "scope": {
        "image": "each image by itself",
        "batch": "the batch together",
        "moving": "a moving average of batches",
    },
    "second": {"std": "standard deviation", "var": "variance"},
    "metric": {"squared": "squared gap", "norm": "length of the gaps", "z-score": "z-score"},
    "sensitivity": {
        "kl": "how far predictions move (KL)",
        "hessian": "curvature times error",
        "output": "error of each layer's output",
        "sqnr": "noise of the weights (SQNR)",
    },
    "distance": {"squared": "every error alike", "fisher": "by what it costs the answer (Fisher)"},
    "prediction": {
        "auto": "what suits the network",
        "kl": "probabilities of the classes (KL)",
        "embedding": "direction of the output",
    },
    "alphabet": {
        "strict": "2^b − 1 even levels around 0",
        "paper": "2^b + 1 levels, as released",
        "grid": "2^b levels a channel",
    },
    "step_rates": {"absolute": "by absolute amounts", "relative": "in proportion to their size"},
    "targets": {"moment": "of noise within the network", "literal": "the paper's recursion"},
    "labels": {
        "uniform": "drawn at random",
        "balanced": "equally many of each",
        "one-class": "one class alone",
    },
    "conditioning": {
        "auto": "what suits the image size",
        "embedding": "by an embedding",
        "batchnorm": "by class-wise BatchNorm",
    },
    "start": {"faint": "an almost even grey", "gaussian": "Gaussian noise"},
    "solver": {"exact": "dynamic programming", "integer": "integer programme", "greedy": "greedy"},
}


def value_words(setting: str, value: str) -> str:
    """The value in words; the value itself where it is a word of the field already."""
    return WORDS.get(setting, {}).get(value, value)


def knob_words(setting: str, value: str) -> str:
    """The same for the settings of a method, where a value may be another method's name."""
    words = value_words(setting, value)
    return title_of("quantization", value) if setting == "rounding" and words == value else words
