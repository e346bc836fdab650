"""What a network gives is found by running it, and read as one tensor."""

import copy
import re

import pytest
import torch
from torch import nn

from engine.core.errors import UserError
from engine.models.graph.blocks import find_blocks, unused_layers
from engine.models.probing.output.find import find_output, read_as
from tests.outputs import NETWORKS, SHAPE

FOUND = [
    # network, asked for, kind, entry, shape of what is read for 5 images
    ("logits", "auto", "logits", "", (5, 4)),
    ("logits", "classes", "logits", "", (5, 4)),  # as older recipes say it
    ("logits", "embedding", "embedding", "", (5, 4)),
    ("one-logit", "auto", "one-logit", "", (5, 2)),
    ("flat", "auto", "one-logit", "", (5, 2)),
    ("map-of-one", "auto", "one-logit", "", (5, 2)),
    ("probability", "auto", "one-logit", "", (5, 2)),
    ("softmax", "auto", "logits", "", (5, 4)),
    ("sigmoids", "auto", "logits", "", (5, 4)),
    ("one-by-one", "auto", "logits", "", (5, 5)),
    ("denoiser", "auto", "image", "", (5, 3, 8, 8)),
    ("denoiser", "segmentation", "segmentation", "", (5, 3, 8, 8)),
    ("depth", "auto", "image", "", (5, 1, 8, 8)),
    ("depth", "segmentation", "segmentation", "", (5, 2, 8, 8)),
    ("larger", "auto", "image", "", (5, 3, 16, 16)),
    ("segmentation", "auto", "segmentation", "", (5, 5, 8, 8)),
    ("dictionary", "auto", "logits", "out", (5, 4)),
    ("dictionary", "aux", "segmentation", "aux", (5, 5, 8, 8)),
    ("dictionary", "aux:image", "image", "aux", (5, 5, 8, 8)),
    ("dictionary", "embedding", "embedding", "out", (5, 4)),
    ("lone-entry", "auto", "logits", "anything", (5, 4)),
    ("named-tuple", "auto", "logits", "logits", (5, 4)),
    ("data-class", "auto", "logits", "logits", (5, 4)),
    ("data-class", "hidden.1:embedding", "embedding", "hidden.1", (5, 6, 8, 8)),
    ("nested", "auto", "logits", "0.logits", (5, 4)),
    ("tuple", "0", "logits", "0", (5, 4)),
    ("tuple", "1:embedding", "embedding", "1", (5, 6)),
    ("features", "embedding", "embedding", "", (5, 6, 4, 4)),
]
REFUSED = [
    ("tuple", "auto", "several values: 0 4 numbers, 1 6 numbers; choose one: --set model.output=0"),
    ("features", "auto", r"6 x 4 x 4 for an image.* --set model.output=embedding \(or image"),
    ("sequence", "auto", "6 x 64 for an image.* --set model.output=embedding"),
    ("whole-numbers", "auto", r"torch.int64 \[2\] for 2 images: no floating-point tensor"),
    ("one-row", "auto", r"torch.float32 \[1, 4\] for 2 images"),
    ("nothing", "auto", "returns NoneType for 2 images"),
    ("logits", "image", "'image', but the network gives 4 numbers .* may be: logits, embedding"),
    ("logits", "head", "'head'; choose auto, logits, one-logit"),
    ("dictionary", "head", "'head'; .*an entry of what this network returns: aux 5 x 8 x 8, out 4"),
]


def pictures(count=5):
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("name", "wanted", "kind", "entry", "shape"), FOUND)
def test_the_kind_is_found_and_one_tensor_is_read(name, wanted, kind, entry, shape):
    model = NETWORKS[name]()
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    output = find_output(model, SHAPE, wanted)
    assert (output.kind, output.name) == (kind, entry)
    x = pictures()
    raw = model(x)
    read = copy.deepcopy(read_as(model, output))
    assert tuple(read(x).shape) == shape
    assert torch.equal(read(x), output.read(raw))
    assert read.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in read.state_dict().items())
    assert find_blocks(read)[0].region is not None, "its data flow is still seen"


@pytest.mark.parametrize(("name", "wanted", "words"), REFUSED)
def test_what_cannot_be_told_is_asked_for_in_a_line(name, wanted, words):
    with pytest.raises(UserError, match=words) as refusal:
        find_output(NETWORKS[name](), SHAPE, wanted)
    assert "\n" not in str(refusal.value)


SAID = re.compile(r"--set model\.output=([\w.:-]+)(?: \(or ([^)]*)\))?")


@pytest.mark.parametrize("name", [n for n, wanted, words in REFUSED if "--set" in words])
def test_every_way_out_that_is_named_works(name):
    with pytest.raises(UserError) as refusal:
        find_output(NETWORKS[name](), SHAPE)
    found = SAID.search(str(refusal.value))
    ways = [found[1], *(found[2] or "").replace("or ", "").split(", ")]
    for way in filter(None, ways):
        assert find_output(NETWORKS[name](), SHAPE, way).kind


def test_one_score_is_read_as_two_whose_softmax_is_its_sigmoid():
    model = NETWORKS["one-logit"]()
    x = pictures()
    wanted = model(x)[:, 0]
    read = read_as(model, find_output(model, SHAPE))(x)
    assert torch.allclose(read.softmax(1)[:, 1], wanted.sigmoid())
    assert torch.equal(read.argmax(1).bool(), wanted > 0)


@pytest.mark.parametrize("name", ["probability", "softmax"])
def test_probabilities_are_read_by_their_logarithms(name):
    model = NETWORKS[name]()
    x = pictures()
    wanted = model(x)
    output = find_output(model, SHAPE)
    assert any("probabilities" in note for note in output.notes())
    shares = read_as(model, output)(x).softmax(1)
    assert torch.allclose(shares[:, -1:] if name == "probability" else shares, wanted, atol=1e-5)


def test_shares_of_labels_are_read_as_what_stood_before_their_sigmoid():
    model = NETWORKS["sigmoids"]()
    x = pictures()
    wanted = model(x)
    output = find_output(model, SHAPE)
    assert output.shares == "labels"
    assert any("sigmoid for each label" in note for note in output.notes())
    read = read_as(model, output)(x)
    assert torch.allclose(read.sigmoid(), wanted, atol=1e-5)
    assert torch.equal(read.argmax(1), wanted.argmax(1))


def test_a_plain_row_of_scores_is_left_as_it_is_and_nothing_is_said():
    model = NETWORKS["logits"]()
    kind = type(model)
    output = find_output(model, SHAPE)
    assert type(read_as(model, output)) is kind
    assert output.notes() == []


def test_a_head_that_nobody_reads_is_no_block():
    model = NETWORKS["dictionary"]()
    model = read_as(model, find_output(model, SHAPE))
    assert unused_layers(model, find_blocks(model)) == ("places",)


def test_a_network_that_does_not_run_says_for_what_images():
    with pytest.raises(UserError, match=r"does not run on images of shape 4,8,8: .*image_shape="):
        find_output(NETWORKS["logits"](), (4, 8, 8))


def test_one_image_alone_keeps_its_row():
    class Squeezes(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

        def forward(self, x):
            return self.fc(self.conv(x).mean((2, 3)).squeeze())

    model = Squeezes().eval()
    read = read_as(model, find_output(model, (3, 8, 8)))
    images = torch.randn(3, 3, 8, 8)
    assert read(images[:1]).shape == (1, 5)
    torch.testing.assert_close(read(images)[:1], read(images[:1]))
    assert find_blocks(read)  # its data flow is still seen
