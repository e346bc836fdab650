"""What stands out inside a layer, in a sentence for each view: the number that is said, by hand."""

import pytest

from engine.analysis.layers.inside_words import of_input, of_maps, of_output, of_weights, sentences


def told(*, clipped=0.0, calibration=1.0, widest=1.0, levels=(0.0, 1.0)):
    def source(name, reach, clipped=0.0):
        channels = {"low": [0.0] * 5, "high": [reach * widest, *[reach] * 4]}
        return {"name": name, "clipped": clipped, "sqnr_db": 21.0, "channels": channels}

    sources = [source("test", 1.0, clipped), source("calibration", calibration)]
    return {"input": {"levels": levels, "sources": sources}}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"levels": None}, "reads floats"),
        ({"clipped": 0.05}, "5.0\u00a0% of the values"),
        ({"widest": 6.0}, "Channel 0 of its input reaches 6.0 times"),
        ({"calibration": 2.0}, "calibrated on reach 2.00 times as far"),
        ({"calibration": 0.5}, "test images reach 2.00 times as far"),
        ({}, "Nothing stands out in its input: rounding it leaves 21 dB"),
    ],
)
def test_of_the_input(given, said):
    assert said in of_input(told(**given))


@pytest.mark.parametrize(
    ("given", "said"),
    [({"clipped": 0.01}, "lie beyond its grid"), ({"clipped": 0.0099}, "Nothing stands out"),
     ({"widest": 4.0}, "4.0 times"), ({"widest": 3.9}, "Nothing stands out"),
     ({"calibration": 1.25}, "1.25 times"), ({"calibration": 1.24}, "Nothing stands out"),
     ({"calibration": 0.8}, "reach 1.25 times"), ({"calibration": 0.81}, "Nothing stands out"),
     ({"clipped": 0.5, "widest": 9.0, "calibration": 9.0}, "50"),
     ({"widest": 9.0, "calibration": 9.0}, "9.0 times")],
)  # fmt: skip
def test_of_the_input_the_worst_is_said_from_its_line_on(given, said):
    assert said in of_input(told(**given))


def test_a_channel_reaches_as_far_as_its_farther_end_and_of_no_middle_there_is_no_outlier():
    given = told()
    given["input"]["sources"][0]["channels"] = {
        "low": [-8.0, 0, -1, 0, 0],
        "high": [1.0, 2, 1, 2, 2],
    }
    given["input"]["sources"][1]["channels"] = {"low": [-8.0] * 5, "high": [1.0] * 5}
    assert "Channel 0 of its input reaches 4.0 times" in of_input(given)
    dead = {"low": [0.0] * 5, "high": [8.0, 1, 0, 0, 0]}
    for source in given["input"]["sources"]:
        source["channels"] = dead
    assert "Nothing stands out" in of_input(given)


def test_without_test_images_those_calibrated_on_are_judged():
    given = told(calibration=0.5, widest=6.0)
    del given["input"]["sources"][0]
    assert "6.0 times as far as the median" in of_input(given)


def maps(*, worst=0.12, share=0.3, count=10):
    return {
        "maps": {"images": [7, 0], "errors": [worst, 0.1], "usual_error": 0.1, "channels": [3, 1]},
        "output": {"worst_channel_share": share, "channels": count},
    }


def test_of_feature_maps():
    assert of_maps(maps(worst=0.2)).startswith("Image 7 suffers most")
    assert "20\u00a0% off, where 10\u00a0% is usual" in of_maps(maps(worst=0.2))
    assert of_maps(maps(worst=0.19)).startswith(
        "All images suffer alike: the output is 10\u00a0% off"
    )
    assert "Channel" not in of_maps(maps(share=0.39))
    assert "Channel 3 alone, one of 10, has 40\u00a0%" in of_maps(maps(share=0.4))
    assert "Channel" not in of_maps(maps(share=0.09, count=1000)), (
        "of many even the worst is little"
    )


def weights(noise, *, high=(1.0, 1.0, 1.0), grid=(1.0, 1.0, 1.0)):
    rows = {"low": [-1.0] * 3, "high": list(high), "grid_low": [-1.0] * 3, "grid_high": list(grid)}
    return {"weights": {"channels": rows | {"sqnr_db": noise}}}


def test_of_the_weights():
    assert of_weights(weights([20.0, 8.0, 21.0])).startswith("Channel 1 of its weights loses most")
    assert "8 dB are left, against 20 dB" in of_weights(weights([20.0, 8.0, 21.0]))
    usual = of_weights(weights([20.0, 8.5, 21.0]))
    assert usual.startswith("Nothing stands out")
    assert "20 dB in the middle channel and 8 dB in the worst" in usual
    low = weights([20.0, 20.0, 21.0])
    low["weights"]["channels"]["low"] = [-1.3, -1.25, -1.26]
    assert of_weights(low).startswith("The largest weights of 2 of 3 channels")
    edge = weights([20.0, 20.0, 21.0], high=(1.25, 1.0, 1.0))
    assert of_weights(edge).startswith("Nothing stands out")
    cut = of_weights(weights([20.0, 20.0, 21.0], high=(1.0, 1.2, 1.3)))
    assert cut.startswith("The largest weights of 1 of 3 channels")


def test_of_the_output():
    output = {"shift_share": 0.4, "is_shift": True, "sqnr_db": 12.0}
    assert of_output({"output": output}).startswith("40\u00a0% of the squared error")
    scatter = of_output({"output": output | {"is_shift": False, "shift_share": 0.02}})
    assert "scatter: 12 dB are left" in scatter
    assert "only 2\u00a0% of it" in scatter


def test_views_that_are_not_there_have_no_sentence():
    output = {"shift_share": 0.0, "is_shift": False, "sqnr_db": 12.0}
    found = sentences(told() | {"maps": None, "weights": None, "output": output})
    assert list(found) == ["input", "pairs"]
