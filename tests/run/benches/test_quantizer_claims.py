"""What makes a claim of a quantizer worth measuring, and what a measurement writes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.core.errors import UserError
from engine.data.idx import read_idx
from engine.models.card import ASSETS
from engine.quantization import discover_methods
from engine.run.benches.effects.quantizers import measure as measuring
from engine.run.benches.effects.quantizers.claim import METRICS
from engine.run.benches.effects.quantizers.claims import QUANTIZER_CLAIMS
from engine.run.benches.effects.quantizers.second_networks import ON_SECOND, PLACES
from engine.run.benches.effects.quantizers.setup import RESNET
from engine.run.benches.effects.quantizers.students import SETUPS
from engine.run.benches.effects.verdicts import QUANTIZER_FILE, read, rows_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("claims")


@pytest.fixture(scope="module")
def recipes(folder):
    """The recipe of every side of every claim, with few images to judge on: all are looked through."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(measuring, "HELD_OUT", 20)
        place = folder / "few"
        return {
            (claim.name, side): measuring.recipe_of(one, place, 3)
            for claim in QUANTIZER_CLAIMS
            for side, one in claim.sides.items()
        }


@pytest.mark.parametrize("claim", QUANTIZER_CLAIMS, ids=lambda claim: claim.name)
class TestPairs:
    def test_method_and_control_differ_in_the_named_settings_alone(self, claim, recipes):
        one, other = (recipes[claim.name, side] for side in ("method", "baseline"))
        mine, theirs = one.quantization_settings, other.quantization_settings
        found = {name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]}
        found |= {
            name
            for name in ("quantization", "weight_bits", "activation_bits")
            if getattr(one, name) != getattr(other, name)
        }
        assert found == set(claim.differs)

    def test_both_learn_from_the_same_images_and_are_judged_on_the_same(self, claim, recipes):
        one, other = (recipes[claim.name, side] for side in ("method", "baseline"))
        for part in ("model", "model_settings", "synthesis", "synthesis_settings", "images", "seed",
                     "data", "edge_rule"):  # fmt: skip
            assert getattr(one, part) == getattr(other, part)

    def test_what_is_measured_is_a_number_of_results(self, claim):
        assert claim.metric in METRICS
        assert claim.of.startswith(f"W{SETUPS[claim.method].weight_bits}A")


def test_every_setup_is_of_some_claim_and_a_name_has_one():
    used = {name for claim in QUANTIZER_CLAIMS for name in (claim.method, claim.baseline)}
    assert set(SETUPS) == used
    assert len({claim.name for claim in QUANTIZER_CLAIMS}) == len(QUANTIZER_CLAIMS)


def test_a_claim_on_a_second_network_is_the_same_but_for_the_network():
    by_name = {claim.name: claim for claim in QUANTIZER_CLAIMS}
    assert ON_SECOND.keys() <= by_name.keys()
    for name, places in ON_SECOND.items():
        for place in places:
            there, here = by_name[f"{name}-{place}"], by_name[name]
            for side, one in there.sides.items():
                own, where = here.sides[side], PLACES[place]
                assert (one.network, one.network_settings) == (
                    where.network,
                    where.network_settings,
                )
                assert (one.network, one.network_settings) != (own.network, own.network_settings)
                for part in ("quantization", "settings", "weight_bits", "activation_bits", "title"):
                    assert getattr(one, part) == getattr(own, part)
            assert not there.asserted


def test_every_quantizer_has_a_claim_but_our_own():
    """What `quantoscope` is worth is measured rung by rung, by another bench (ablation)."""
    claimed = {SETUPS[claim.method].quantization for claim in QUANTIZER_CLAIMS}
    assert set(discover_methods()) - claimed == {"quantoscope"}


def test_the_images_to_judge_on_are_the_first_of_the_test_set(folder):
    mine = Path(measuring.held_out(RESNET, folder / "held-out"))
    pixels = read_idx(ASSETS / "fashion-mnist" / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(ASSETS / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz")
    rows = (mine / "labels.csv").read_text().splitlines()
    assert rows[0] == "file,label"
    assert len(rows) == 1 + measuring.HELD_OUT
    for k in (0, 7, measuring.HELD_OUT - 1):
        name, label = rows[k + 1].split(",")
        assert int(label) == labels[k]
        assert np.array_equal(np.asarray(Image.open(mine / name)), pixels[k])


class TestMeasuring:
    claims = QUANTIZER_CLAIMS[:2]

    @pytest.fixture
    def measured(self, monkeypatch, tmp_path):
        """Students that lose what their titles are long, so that no run is needed."""
        monkeypatch.setattr(
            measuring, "value_of", lambda one, runs, seed, key: float(len(one.title) + seed)
        )
        out = tmp_path / QUANTIZER_FILE
        measuring.quantizers(tmp_path, out, (0, 1), claims=self.claims)
        return out

    def test_a_file_holds_both_sides_seed_by_seed_and_is_read_back(self, measured):
        found = read(measured.parent, QUANTIZER_FILE)
        row = found["claims"][0]
        assert row["values"]["method"] == [21.0, 22.0]  # "GPFQ on the same grid"
        assert row["values"]["baseline"] == [7.0, 8.0]  # "Nearest"
        assert row["verdict"]["words"] == "did not hold"
        assert row["baseline_title"] == "Nearest"
        assert len(rows_of(found)) == 3

    def test_one_claim_alone_leaves_the_others_as_they_were(self, measured, monkeypatch):
        before = json.loads(measured.read_text())["claims"]
        monkeypatch.setattr(measuring, "value_of", lambda one, runs, seed, key: 1.0)
        measuring.quantizers(
            measured.parent, measured, (0, 1), claims=self.claims, only=[self.claims[1].name]
        )
        after = json.loads(measured.read_text())["claims"]
        assert after[0] == before[0]
        assert after[1]["values"]["method"] == [1.0, 1.0]

    def test_other_seeds_and_unknown_names_are_refused(self, measured):
        name = self.claims[0].name
        with pytest.raises(UserError, match=r"is of the seeds \[0, 1\]"):
            measuring.quantizers(measured.parent, measured, (0, 1, 2), only=[name])
        with pytest.raises(UserError, match="--only 'nothing' is no claim; choose of gpfq"):
            measuring.quantizers(measured.parent, measured, (0, 1), only=["nothing"])


class TestImagesThatAreGiven:
    """Of a network that comes without test images."""

    claim = next(one for one in QUANTIZER_CLAIMS if one.needs)

    @pytest.fixture
    def asked(self, monkeypatch):
        """The setups whose numbers were asked for, by the number."""
        setups = []

        def value_of(one, runs, seed, key):
            setups.append((key, one))
            return 7.0

        monkeypatch.setattr(measuring, "value_of", value_of)
        return setups

    def test_without_them_the_claim_is_left_out_and_told(self, asked, tmp_path):
        told = []
        claims = (self.claim, QUANTIZER_CLAIMS[0])
        found = measuring.quantizers(
            tmp_path, tmp_path / QUANTIZER_FILE, (0,), claims=claims, tell=told.append
        )
        assert [row["name"] for row in found["claims"]] == [QUANTIZER_CLAIMS[0].name]
        assert told[0] == (
            f"{self.claim.name} is judged on images of ImageNet, and left out (--data FOLDER)"
        )

    def test_who_names_it_is_asked_for_them(self, asked, tmp_path):
        with pytest.raises(UserError, match="of ImageNet; give their folder with --data FOLDER"):
            measuring.quantizers(
                tmp_path,
                tmp_path / QUANTIZER_FILE,
                (0,),
                claims=[self.claim],
                only=[self.claim.name],
            )
        assert asked == []

    def test_both_sides_are_judged_on_them_and_the_row_says_how_many(self, asked, tmp_path):
        row = measuring.row_of(self.claim, tmp_path, (0, 1), "photos")
        assert {one.data for _, one in asked} == {"photos"}
        assert [key for key, _ in asked].count("test-images") == 1
        assert (row["images"], row["held_out"]) == (PLACES["lite"].images, 7.0)
        assert row["of"].endswith("nats, on ImageNet")

    def test_what_no_image_counts_for_needs_none(self):
        stored = next(one for one in QUANTIZER_CLAIMS if one.name == "storage-lite")
        assert not stored.needs
        assert {one.synthesis for one in stored.sides.values()} == {"noise"}
