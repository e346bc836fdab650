"""Whole tiny runs of networks whose output is no row of logits; and of outputs that are not finite."""

from dataclasses import replace

import pytest
from torch import nn

from engine.core.events import Noted, RunFailed
from engine.models.card_settings import own_knobs
from engine.models.cards.from_python_file import own_card
from engine.run import context
from engine.run.commands.printed.tables import result_table
from engine.run.recipes.recipe import Recipe
from engine.run.recipes.settings import resolve
from engine.run.stages.judging import judge
from tests.outputs import NETWORKS
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work

PLAIN = replace(
    RECIPE, synthesis="zeroq", synthesis_settings={"steps": 2, "batch": 4}, quantization="nearest",
    quantization_settings={},
)  # fmt: skip
LOOKING = {"steps": 2, "batch": 4, "correction_steps": 2, "prediction_weight": 1.0}


@pytest.fixture
def network(monkeypatch, tmp_path):
    """Calls for a network by its name, and what is asked of its output."""
    only_the_toy(monkeypatch, tmp_path)
    find = context.find_card

    def choose(name, wanted="auto"):
        card = replace(find("toy", {}), build=NETWORKS[name], weights=lambda: None, output=wanted)
        monkeypatch.setattr(context, "find_card", lambda *_: card)

    return choose


MEASURED = [
    ("denoiser", "image", {"output_sqnr_db", "psnr_db", "cosine"}, "PSNR of the output"),
    ("depth", "image", {"output_sqnr_db", "psnr_db"}, "SQNR of the output"),
    ("segmentation", "segmentation", {"agreement", "logit_kl"}, "agreement of the pixels"),
    ("one-logit", "one-logit", {"agreement", "logit_kl"}, "agreement"),
    ("dictionary", "logits", {"agreement", "logit_kl"}, "agreement"),
]


@pytest.mark.parametrize(("name", "kind", "known", "row"), MEASURED)
def test_a_network_is_judged_by_what_it_gives(network, tmp_path, name, kind, known, row):
    network(name)
    folder = begun(tmp_path / "runs", PLAIN)
    result = work(folder)
    assert result["output_kind"] == kind
    assert all(result[one] is not None for one in known)
    if kind == "image":
        assert result["agreement"] is result["logit_kl"] is None
        assert 0 < result["output_sqnr_db"] < 60
        assert result["psnr_db"] > result["output_sqnr_db"]
    else:
        assert result["logit_kl"] > 0
    assert row in result_table(result | {"folder": ""})
    if kind not in ("logits",):
        assert any("judged" in note.message for note in of(folder, Noted))


@pytest.mark.parametrize("name", ["denoiser", "segmentation", "one-logit"])
def test_a_quantizer_that_looks_at_the_answer_works_on_every_kind(network, tmp_path, name):
    network(name)
    recipe = replace(PLAIN, quantization="pd-quant", quantization_settings=LOOKING)
    assert work(begun(tmp_path / "runs", recipe))["output_sqnr_db"] > 0


REFUSED = [
    ("denoiser", {"quantization": "brecq"}, "it needs a classifier"),
    ("segmentation", {"quantization": "brecq"}, "it needs a classifier"),
    ("denoiser", {"quantization": "pd-quant", "quantization_settings": LOOKING | {"prediction": "kl"}},
     "set quantization.prediction=embedding"),
    ("denoiser", {"quantization": "mixed", "quantization_settings": {"sensitivity": "hessian"}},
     "set quantization.sensitivity=sqnr"),
    ("denoiser", {"synthesis": "gdfq"}, "it needs a classifier"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "asked", "words"), REFUSED)
def test_what_reads_classes_is_refused_before_a_step(network, tmp_path, name, asked, words):
    network(name)
    failure = work(begun(tmp_path / "runs", replace(PLAIN, **asked)))
    assert isinstance(failure, RunFailed)
    assert failure.mistake
    assert words in failure.message


@pytest.mark.parametrize("which", ["float", "quantized"])
def test_outputs_that_are_not_finite_end_the_run_with_the_layer(
    network, tmp_path, which, monkeypatch
):
    network("logits")
    compare = judge._compared

    def spoilt(ctx, student, *rest):
        model = ctx.teacher if which == "float" else student
        model.body[1].running_mean[2] = float("nan")
        return compare(ctx, student, *rest)

    monkeypatch.setattr(judge, "_compared", spoilt)
    failure = work(begun(tmp_path / "runs", PLAIN))
    assert failure.mistake
    assert f"the {which} network's" in failure.message
    assert "the first layer with such values is 'body.1'" in failure.message


def test_where_no_other_images_are_left_nothing_is_said_to_agree(network, tmp_path):
    (tmp_path / "few.py").write_text(
        "import torch\n\ndef few():\n    yield torch.rand(8, 3, 8, 8)\n"
    )
    network("logits")
    recipe = replace(
        PLAIN, synthesis="external", synthesis_settings={"folder": f"{tmp_path}/few.py:few"}
    )
    folder = begun(tmp_path / "runs", recipe)
    result = work(folder)
    assert result["agreement"] is result["logit_kl"] is result["output_sqnr_db"] is None
    assert result["test_images"] == 0
    assert any("Nothing was judged" in note.message for note in of(folder, Noted))
    assert "nothing was compared" in result_table(result | {"folder": ""})


def test_the_output_is_a_setting_of_a_network_of_the_user_s_own(tmp_path):
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\ndef make():\n    return nn.Conv2d(3, 3, 1)\n"
    )
    name = f"{tmp_path}/own.py:make"
    for wanted in ("auto", "out", "features:embedding", "classes"):
        settings = resolve(
            own_knobs(), "quick", {"output": wanted, "image_shape": "3,8,8"}, "model"
        )
        assert own_card(name, settings).output == wanted
    assert isinstance(own_card(name, {"image_shape": [3, 8, 8]}).load(), nn.Module)


def test_recipes_keep_their_names_and_only_another_output_is_another_run():
    def named(output):
        return Recipe(
            model="/x.py:make", synthesis="genie", quantization="nearest",
            model_settings={"output": output},
        ).run_id  # fmt: skip

    assert named("auto") == named("classes") == "x-py-make_genie_nearest_w4a4_f6ca198f"
    assert len({named(one) for one in ("auto", "embedding", "image", "out")}) == 4
