"""What a method does otherwise than its paper or release is said where it happens: in its own file."""

import importlib

import pytest


@pytest.mark.parametrize(("method", "words"), [
    ("brecq", "reads what the quantized network hands the block (the release: the float network's)"),
    ("pd_quant", "comes from a pass in which no activation is dropped"),
    ("pd_quant", "variances are biased, with 1e-8 under the root"),
    ("quantoscope", "Ours are the rates, step sizes that move in proportion, and the form in which"),
])  # fmt: skip
def test_it_is_said_in_the_method_s_own_file(method, words):
    said = importlib.import_module(f"engine.quantization.methods.{method}").__doc__ or ""
    assert words in " ".join(said.split())


def test_our_own_recipe_does_not_claim_that_all_of_it_is_published():
    ours = importlib.import_module("engine.quantization.methods.quantoscope").__doc__ or ""
    assert "everything in it is published" not in ours.lower()
    assert "ours" in ours.lower()
