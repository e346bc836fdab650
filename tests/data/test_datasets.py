"""Data sets as they lie on disk: each form gives the pixels and labels that were put in."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.core.errors import UserError
from engine.data.idx import read_idx, write_idx
from engine.data.image_folders import check_folder, list_images
from engine.data.images import open_folder

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), np.uint8)
LABELS = np.array([3, 0, 9, 1, 1, 7])
RGB = {"image_shape": (3, 32, 32), "mean": (0.0,) * 3, "std": (1.0,) * 3, "resize": 32}


def same(images, pixels=PIXELS, labels=LABELS):
    assert torch.equal((images.first(len(pixels)) * 255).round().byte(), torch.from_numpy(pixels))
    assert images.labels.tolist() == labels.tolist()


def test_cifar_s_binary_batches(tmp_path):
    place = tmp_path / "cifar-10-batches-bin"
    place.mkdir()
    records = np.concatenate([LABELS[:, None].astype(np.uint8), PIXELS.reshape(6, -1)], 1)
    records[:3].tofile(place / "data_batch_1.bin")
    records[3:].tofile(place / "data_batch_2.bin")
    records[:2].tofile(place / "test_batch.bin")
    check_folder(tmp_path)
    for folder in (tmp_path, place):
        same(open_folder(folder, **RGB), PIXELS[:2], LABELS[:2])
        same(open_folder(folder, part="train", **RGB))
    (place / "test_batch.bin").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"test_batch\.bin is no batch"):
        open_folder(tmp_path, **RGB)


def test_cifar_s_pickles_are_read_by_a_reader_of_arrays(tmp_path):
    content = {b"data": PIXELS.reshape(6, -1), b"labels": LABELS.tolist(), b"filenames": [b"x"] * 6}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    images = open_folder(tmp_path, **RGB)
    same(images)
    assert images.name == "CIFAR-10 test"


class Malicious:
    def __init__(self, target):
        self._target = target

    def __reduce__(self):
        return Path.touch, (self._target,)


def test_code_in_a_batch_is_never_run(tmp_path):
    target = tmp_path / "touched"
    data = pickle.dumps({b"data": Malicious(target)}, protocol=2)
    (tmp_path / "test_batch").write_bytes(data)
    with pytest.raises(UserError, match=r"holds code \(.*\), which is never executed"):
        open_folder(tmp_path, **RGB)
    assert not target.exists()
    pickle.loads(data)  # the trap is a real one
    assert target.exists()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", [".", "raw", "FashionMNIST/raw"])
def test_idx_files_in_torchvision_s_folders(tmp_path, packed, place):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    grey = PIXELS[:, 0, :28, :28]
    for name, values in (("images-idx3", grey), ("labels-idx1", LABELS.astype(np.uint8))):
        file = folder / f"t10k-{name}-ubyte.gz"
        write_idx(file, np.ascontiguousarray(values))
        if not packed:
            file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
            file.unlink()
    options = {"image_shape": (1, 28, 28), "mean": (0.0,), "std": (1.0,), "resize": 28}
    same(open_folder(tmp_path, **options), grey[:, None])
    as_colour = open_folder(tmp_path, **RGB).first(1)
    assert as_colour.shape == (1, 3, 32, 32)
    assert torch.equal(as_colour[:, 0], as_colour[:, 2])


def test_a_packed_file_is_not_unpacked_beyond_what_its_header_says(tmp_path):
    head = b"\0\0\x08\1\0\0\0\5"
    (tmp_path / "x.gz").write_bytes(gzip.compress(head + bytes(50_000_000)))
    with pytest.raises(ValueError, match="does not hold as many"):
        read_idx(tmp_path / "x.gz")
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"\0\0\x08\2\x7f\0\0\0\x7f\0\0\0"))
    with pytest.raises(ValueError, match="the limit is"):
        read_idx(tmp_path / "x.gz")


def picture(path, colour=(9, 9, 9)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), colour).save(path)


def test_halves_of_a_set_are_told_apart(tmp_path):
    picture(tmp_path / "train/cat/a.png", (1, 1, 1))
    picture(tmp_path / "train/dog/a.png", (2, 2, 2))
    picture(tmp_path / "val/cat/a.png", (3, 3, 3))
    assert (open_folder(tmp_path, **RGB).first(9)[:, 0, 0, 0] * 255).round().tolist() == [3]
    train = open_folder(tmp_path, part="train", classes=("cat", "dog"), **RGB)
    assert (train.first(9)[:, 0, 0, 0] * 255).round().tolist() == [1, 2]
    assert train.labels.tolist() == [0, 1]


def test_class_folders_called_like_the_network_s_classes_get_their_numbers(tmp_path):
    for name in ("Ankle_boot", "Bag", "t-shirt"):
        picture(tmp_path / name / "x.png")
    classes = ("T-shirt", "Coat", "Bag", "Ankle boot")
    labels = {entry.path.parent.name: entry.label for entry in list_images(tmp_path, classes)}
    assert labels == {"Ankle_boot": 3, "Bag": 2, "t-shirt": 0}
    (tmp_path / "Hat").mkdir()
    assert len(list_images(tmp_path, classes)) == 3  # a folder without images says nothing
    picture(tmp_path / "Hat/x.png")
    with pytest.raises(UserError, match="class folder 'Hat' is called like none"):
        list_images(tmp_path, classes)


@pytest.mark.parametrize("text", [
    "filename;class\na.png;1\nsub/b.png;0\n", "image_id\tlabel\na\t1\nb\t0\n", "id,label\na,dog\nb,cat\n",
    "Path,Category,Width\na.png,dog,3\nb.png,cat,4\n",
])  # fmt: skip
def test_tables_by_other_programs(tmp_path, text):
    picture(tmp_path / "a.png")
    picture(tmp_path / "sub/b.png")
    (tmp_path / "trainLabels.csv").write_text(text)
    found = [
        (e.path.relative_to(tmp_path).as_posix(), e.label) for e in list_images(tmp_path, outputs=2)
    ]
    assert found == [("a.png", 1), ("sub/b.png", 0)]


def test_labels_in_words_are_those_of_the_network(tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\na.png,Dog\nb.png,2\n")
    assert [e.label for e in list_images(tmp_path, ("cat", "dog", "cow"))] == [1, 2]
    (tmp_path / "labels.csv").write_text("file,label\na.png,Dog\nb.png,hen\n")
    with pytest.raises(UserError, match=r"labels\.csv line 3: label 'hen' is called like none"):
        list_images(tmp_path, ("cat", "dog", "cow"))


def test_odd_pictures_are_converted_or_skipped_with_a_reason(tmp_path):
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    deep = np.full((32, 32), 257 * 100, np.uint16)
    Image.fromarray(deep).save(tmp_path / "b.png")
    frames = [Image.new("RGB", (32, 32), c) for c in ((255, 0, 0), (0, 0, 255))]
    frames[0].save(tmp_path / "c.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "d.png").write_text("no image")
    images = open_folder(tmp_path, **RGB)
    pixels = (images.first(9)[:, :, 16, 16] * 255).round()
    assert (pixels[0] - torch.tensor([255.0, 0, 0])).abs().max() <= 4
    assert pixels[1].tolist() == [100, 100, 100]
    assert pixels[2].tolist() == [255, 0, 0]  # the first frame
    assert [text.partition(":")[0] for text in images.skipped] == ["d.png"]


def test_pictures_for_a_network_of_other_channels_are_refused_with_the_reason(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(UserError, match="pictures have 1 or 3 channels, the network takes 4"):
        open_folder(
            tmp_path, **RGB | {"image_shape": (4, 32, 32), "mean": (0.0,) * 4, "std": (1.0,) * 4}
        )
