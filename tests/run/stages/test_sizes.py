"""What a finished student stores, bit by bit, worked out by hand for whole tiny runs at 2 bits.

TinyResNet has 108 + 18 weights in its first and last layer (8 bits) and 216, 324, 24, 324, 324 between,
with 4, 3 and five times 6 output channels. Its BatchNorms and the last layer's bias are 139 floats. Five
inputs are quantized, those of the two blocks and of three layers, with 4, 6, 6, 6 and 6 channels; two of
them have 8 bits, three have 4.
"""

from dataclasses import replace

import pytest

from tests.run.toy_runs import RECIPE, begun, only_the_toy, work

FLOATS = 4 * 139
CODES = 108 + 18 + (216 + 324 + 24 + 324 + 324) * 2 // 8
CODES_OF_3 = 108 + 18 + 81 + 122 + 9 + 122 + 122  # 324 codes of 3 bits are padded to 122 bytes
CHANNELS = 4 + 3 + 5 * 6
INPUTS, INPUT_CHANNELS = 5, 4 + 4 * 6


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("method", "settings", "wanted"),
    [
        ("nearest", {}, CODES + 5 * CHANNELS + 4 * INPUTS),  # a float scale, 8 bits of zero point
        ("nearest", {"bias_correction": True}, CODES + 5 * CHANNELS + 4 * INPUTS + 4 * (4 + 5 * 6)),
        ("nearest", {"batchnorm": "delta"}, CODES + 5 * CHANNELS + 4 * INPUTS),
        ("gpfq", {"alphabet": "grid"}, CODES + 5 * CHANNELS + 4 * INPUTS),
        ("gpfq", {"alphabet": "strict"}, CODES + 4 * 7 + 4 * INPUTS),  # one step size a layer
        ("gpfq", {"alphabet": "paper"}, CODES_OF_3 + 4 * 7 + 4 * INPUTS),  # 5 levels
        ("lq-nets", {}, CODES + 4 * (8 * (4 + 3) + 2 * 5 * 6) + 4 * (2 * 8 + 3 * 4)),
        ("lq-nets", {"activations": "even"}, CODES + 4 * (8 * 7 + 2 * 30) + 4 * INPUTS),
        ("aquant", {"steps": 2, "batch": 4}, CODES + 5 * CHANNELS + 4 * INPUTS + 12 * INPUT_CHANNELS),
        ("genie-m", {"steps": 2, "batch": 4}, CODES + 5 * CHANNELS + 4 * INPUTS),
        ("mixed", {"lowest": 2, "highest": 2, "images": 4}, CODES + 5 * CHANNELS + 4 * INPUTS),
    ],
)  # fmt: skip
def test_every_bit_that_is_stored_is_counted(tmp_path, method, settings, wanted):
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization=method, weight_bits=2,
        quantization_settings=settings,
    )  # fmt: skip
    result = work(begun(tmp_path / "runs", recipe))
    size = result["size_bytes"]
    assert size["fp32"] == 4 * (108 + 18 + 216 + 324 + 24 + 324 + 324) + FLOATS
    assert size["quantized"] == wanted + FLOATS
    stored = result["stored_bits"]
    assert 0 <= 8 * size["quantized"] - sum(stored.values()) < 8 * 2 * len(result["layers"])
    added = 32 * (4 + 5 * 6) if settings.get("bias_correction") else 0  # a bias where none was
    assert stored["floats"] == 8 * FLOATS + added
    if method != "gpfq":  # whose codes of 3 bits are padded
        assert stored["grids"] == 8 * (wanted - CODES) - added
    width = {"paper": 3}.get(settings.get("alphabet"), 2)
    if method != "mixed":  # whose budget counts side information too
        assert stored["codes"] == 8 * (108 + 18) + width * (216 + 324 + 24 + 324 + 324)


@pytest.mark.parametrize(
    ("method", "settings", "codes", "grids"),
    [
        # 10 codes for the 9 weights of a 3x3 kernel, and a float step for each channel of both parts
        ("cfws", {}, 8 * (120 + 18) + 2 * (240 + 3 * 360 + 24), 32 * (2 * (4 + 4 * 6) + 6 + 3)),
        # ranks 8 and 13 of [6, 4, 9] and [6, 6, 9]: 8 · 19 and 13 · 21 codes, and three float steps
        ("factorization", {}, 8 * 126 + 2 * (8 * 19 + 3 * 13 * 21 + 24), 40 * 13 + 32 * 4 * 3),
        # ranks 4, 3 and 4, 4: 24 + 12 + 108 and 24 + 24 + 144 codes
        (
            "factorization",
            {"form": "tucker"},
            8 * 126 + 2 * (144 + 3 * 192 + 24),
            40 * 13 + 32 * 4 * 3,
        ),
    ],
)
def test_of_weights_in_several_parts_each_part_s_bits_are_counted(
    tmp_path, method, settings, codes, grids
):
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization=method, weight_bits=2,
        quantization_settings=settings,
    )  # fmt: skip
    result = work(begun(tmp_path / "runs", recipe))
    stored = result["stored_bits"]
    assert stored == {"codes": codes, "grids": grids + 32 * INPUTS, "floats": 8 * FLOATS}
    padding = 8 * result["size_bytes"]["quantized"] - sum(stored.values())
    assert 0 <= padding < 8 * 2 * len(result["layers"])


def test_operations_move_the_bits_that_codes_have(tmp_path):
    """The alphabet as released has 17 levels at 4 bits: its products move 5."""
    operations = [
        work(
            begun(
                tmp_path / alphabet,
                replace(
                    RECIPE, synthesis="noise", synthesis_settings={}, quantization="gpfq",
                    weight_bits=4, edge_rule="all", quantization_settings={"alphabet": alphabet},
                ),
            )
        )["bit_operations"]["quantized"]
        for alphabet in ("strict", "paper")
    ]  # fmt: skip
    assert operations[1] * 4 == operations[0] * 5
