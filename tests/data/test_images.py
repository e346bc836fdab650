"""Images as people keep them: every way of labelling, every kind of pixel, every kind of damage."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.core.errors import UserError
from engine.data.idx import read_idx, write_idx
from engine.data.image_folders import list_images
from engine.data.images import open_folder, open_idx
from engine.data.pixels import decode as decoding
from engine.data.pixels.decode import decode, fit
from engine.data.pixels.half_size import enlarged, halved

RGB = {"image_shape": (3, 8, 8), "mean": (0.0,) * 3, "std": (1.0,) * 3, "resize": 8}


def save(path: Path, size=(8, 8), colour=(255, 0, 0), mode="RGB", **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def pixel(path: Path, channels=3) -> list[int]:
    return decode(path, (channels, 8, 8), 8)[:, 4, 4].tolist()


class TestFit:
    """The resize rule, by sizes: network input 20, resize to 30."""

    @pytest.mark.parametrize(
        ("size", "resized"),
        [((60, 90), (30, 45)), ((30, 50), None), ((24, 25), None), ((20, 20), None),
         ((10, 40), (20, 80)), ((5, 5), (20, 20)), ((100, 31), (96, 30))],
    )  # fmt: skip
    def test_resizes_what_is_too_large_or_too_small_only(self, size, resized, monkeypatch):
        seen = []
        resize = Image.Image.resize
        monkeypatch.setattr(
            Image.Image, "resize", lambda self, to, how: seen.append((to, how)) or resize(self, to)
        )
        assert fit(Image.new("RGB", size), 20, 20, 30).size == (20, 20)
        assert seen == ([] if resized is None else [(resized, Image.Resampling.BICUBIC)])

    def test_takes_the_centre(self):
        image = Image.new("L", (9, 5))
        image.putpixel((4, 2), 255)
        assert np.asarray(fit(image, 3, 3, 5)).tolist() == [[0, 0, 0], [0, 255, 0], [0, 0, 0]]

    def test_covers_a_crop_that_is_no_square(self):
        assert fit(Image.new("L", (10, 10)), 8, 16, 10).size == (16, 8)

    @pytest.mark.parametrize(("height", "width"), [(61, 83), (83, 61), (97, 41), (45, 46)])
    def test_is_what_torchvision_does_with_a_large_photo(self, height, width):
        # Resize(40, BICUBIC), CenterCrop(32), in its words: cut off the long side, round the margin.
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        image = Image.fromarray(pixels)
        w, h = (int(40 * side / min(image.size)) for side in image.size)
        left, top = round((w - 32) / 2), round((h - 32) / 2)
        expected = image.resize((w, h), Image.Resampling.BICUBIC)
        expected = np.asarray(expected)[top : top + 32, left : left + 32]
        assert np.array_equal(np.asarray(fit(image, 32, 32, 40)), expected)

    def test_refuses_a_strip_that_would_grow_beyond_all_bounds(self):
        with pytest.raises(ValueError, match="too many"):
            fit(Image.new("L", (1, 20_000)), 224, 224, 256)


class TestPixels:
    def test_sixteen_bits_are_scaled_and_not_clipped(self, tmp_path):
        path = tmp_path / "deep.png"
        Image.fromarray(np.full((8, 8), 128 * 257, np.uint16)).save(path)
        assert pixel(path) == [128, 128, 128]
        assert pixel(path, channels=1) == [128]

    def test_cmyk(self, tmp_path):
        path = save(tmp_path / "print.jpg", mode="CMYK", colour=(0, 255, 255, 0), quality=100)
        red, green, blue = pixel(path)
        assert red > 240
        assert green < 15
        assert blue < 15

    def test_palette(self, tmp_path):
        Image.new("RGB", (8, 8), (0, 0, 255)).quantize(4).save(tmp_path / "few.png")
        assert pixel(tmp_path / "few.png") == [0, 0, 255]

    @pytest.mark.parametrize(("mode", "clear"), [("RGBA", (255, 0, 0, 0)), ("LA", (0, 0))])
    def test_what_is_transparent_is_white(self, tmp_path, mode, clear):
        assert pixel(save(tmp_path / "clear.png", mode=mode, colour=clear)) == [255, 255, 255]

    def test_a_transparent_palette_entry_is_white(self, tmp_path):
        image = Image.new("P", (8, 8), 0)
        image.putpalette([255, 0, 0, 0, 255, 0])
        image.save(tmp_path / "hole.gif", transparency=0)
        assert pixel(tmp_path / "hole.gif") == [255, 255, 255]

    def test_half_transparent_red_is_pink(self, tmp_path):
        path = save(tmp_path / "pink.png", mode="RGBA", colour=(255, 0, 0, 128))
        assert pixel(path) == [255, 127, 127]

    def test_one_bit(self, tmp_path):
        assert pixel(save(tmp_path / "fax.png", mode="1", colour=1)) == [255, 255, 255]

    def test_colour_becomes_grey_for_a_grey_network(self, tmp_path):
        assert pixel(save(tmp_path / "green.png", colour=(0, 255, 0)), channels=1) == [150]

    def test_a_photo_taken_sideways_is_turned(self, tmp_path):
        image = Image.new("RGB", (8, 8))
        image.paste((255, 255, 255), (0, 0, 8, 4))  # white above
        exif = Image.Exif()
        exif[0x0112] = 6  # turn clockwise to see it upright
        image.save(tmp_path / "side.png", exif=exif)
        upright = decode(tmp_path / "side.png", (1, 8, 8), 8)[0]
        assert (upright[:, 4:] == 255).all()
        assert (upright[:, :4] == 0).all()

    def test_float_pixels_are_refused(self, tmp_path):
        save(tmp_path / "float.tif", mode="F", colour=0.5)
        with pytest.raises(ValueError, match="floats"):
            decode(tmp_path / "float.tif", (3, 8, 8), 8)

    def test_more_pixels_than_the_limit_are_refused_before_they_are_decoded(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(decoding, "MAX_PIXELS", 99)
        save(tmp_path / "large.png", size=(10, 10))
        with pytest.raises(ValueError, match="10x10 pixels are too many; the limit is 99"):
            decode(tmp_path / "large.png", (3, 8, 8), 8)


class TestListing:
    def names(self, folder, outputs=0):
        return [
            (entry.path.relative_to(folder).as_posix(), entry.label)
            for entry in list_images(folder, outputs=outputs)
        ]

    def test_a_whole_set_of_class_folders_is_numbered_by_name_and_taken_in_turn(self, tmp_path):
        for name in ("dog/1.png", "dog/2.JPG", "cat/9.png", "ant/deep/5.webp", "ant/z.gif"):
            save(tmp_path / name)
        (tmp_path / ".hidden").mkdir()
        (tmp_path / "__MACOSX").mkdir()
        assert self.names(tmp_path, outputs=3) == [
            ("ant/deep/5.webp", 0), ("cat/9.png", 1), ("dog/1.png", 2),
            ("ant/z.gif", 0), ("dog/2.JPG", 2),
        ]  # fmt: skip

    def test_class_folders_called_by_numbers_are_in_the_order_of_numbers(self, tmp_path):
        for name in range(12):
            save(tmp_path / str(name) / "x.png")
        assert self.names(tmp_path) == [(f"{n}/x.png", n) for n in range(12)]

    def test_an_empty_class_folder_keeps_its_number(self, tmp_path):
        (tmp_path / "a").mkdir()
        save(tmp_path / "b/x.png")
        assert self.names(tmp_path, outputs=2) == [("b/x.png", 1)]

    def test_plain_images_have_no_labels(self, tmp_path):
        for name in ("b.png", "a.png"):
            save(tmp_path / name)
        (tmp_path / "notes.txt").write_text("no image")
        assert self.names(tmp_path) == [("a.png", None), ("b.png", None)]

    @pytest.mark.parametrize(
        "text",
        ["file,label\na.png,3\nsub/b.png,1\n", "a.png,3\nsub/b.png,1",
         "label,file\r\n3,a.png\r\n1,sub/b.png\r\n",
         "\ufeffFile, Label\na.png, 3\n\nsub/b.png , 1\n", "file,note,label\na.png,x,3\nsub/b.png,y,1"],
    )  # fmt: skip
    def test_labels_csv_in_the_forms_that_programs_write(self, tmp_path, text):
        (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
        assert self.names(tmp_path) == [("a.png", 3), ("sub/b.png", 1)]

    @pytest.mark.parametrize("name", ["../b.png", "/etc/b.png", "a/../../b.png", "link/b.png"])
    def test_labels_csv_cannot_lead_out_of_the_folder(self, tmp_path, name):
        inside, outside = tmp_path / "in", tmp_path / "out"
        save(outside / "b.png")
        inside.mkdir()
        (inside / "link").symlink_to(outside)
        (inside / "labels.csv").write_text(f"{name},1\n")
        with pytest.raises(UserError, match=r"labels\.csv line 1 .* outside of the folder"):
            list_images(inside)

    @pytest.mark.parametrize("row", ["a.png,cat", "a.png", "a.png,", "a.png,1.5"])
    def test_a_label_that_is_no_number_is_named_with_its_line(self, tmp_path, row):
        (tmp_path / "labels.csv").write_text(f"file,label\na.png,1\n{row}\n")
        with pytest.raises(UserError, match=r"labels\.csv line 3"):
            list_images(tmp_path)

    def test_a_negative_label_is_refused(self, tmp_path):
        (tmp_path / "labels.csv").write_text("a.png,-1\n")
        with pytest.raises(UserError, match="label -1"):
            list_images(tmp_path)

    def test_no_folder(self, tmp_path):
        with pytest.raises(UserError, match="is not a folder"):
            list_images(tmp_path / "nowhere")


class TestOpenFolder:
    def test_images_and_labels_come_in_one_order_normalised(self, tmp_path):
        save(tmp_path / "a/x.png", colour=(255, 0, 0))
        save(tmp_path / "b/x.png", colour=(0, 255, 0))
        space = RGB | {"mean": (0.5, 0.0, 0.0), "std": (0.5, 1.0, 2.0)}
        images = open_folder(tmp_path, **space, classes=("a", "b"))
        assert len(images) == 2
        assert images.name == tmp_path.name
        assert images.labels.tolist() == [0, 1]
        assert images.labels.dtype == torch.int64
        batch = next(images.batches(2))
        assert batch.dtype == torch.float32
        assert batch[:, :, 0, 0].tolist() == [[1.0, 0.0, 0.0], [-1.0, 1.0, 0.0]]

    def test_broken_files_are_skipped_and_the_labels_stay_with_their_images(self, tmp_path):
        for label in range(5):
            save(tmp_path / f"{label}/x.jpg", size=(64, 64), colour=(label * 50,) * 3)
        noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "1/x.jpg")
        whole = (tmp_path / "1/x.jpg").read_bytes()
        (tmp_path / "1/x.jpg").write_bytes(whole[: len(whole) // 2])
        (tmp_path / "3/x.jpg").write_bytes(b"<html>404</html>")
        images = open_folder(tmp_path, **RGB)
        assert images.labels.tolist() == [0, 2, 4]
        assert (images.first(3)[:, 0, 4, 4] * 255 / 50).round().tolist() == [0, 2, 4]
        assert [text.split(":")[0] for text in images.skipped] == ["1/x.jpg", "3/x.jpg"]

    def test_a_file_that_labels_csv_names_and_nobody_has_is_skipped(self, tmp_path):
        save(tmp_path / "a.png")
        (tmp_path / "labels.csv").write_text("a.png,7\ngone.png,8\n")
        images = open_folder(tmp_path, **RGB)
        assert images.labels.tolist() == [7]
        assert images.skipped == ["gone.png: no such file"]

    @pytest.mark.parametrize("kind", ["truncated.png", "float.tif", "strip.png", "long.jpg"])
    def test_what_cannot_be_decoded_later_is_skipped_now(self, tmp_path, kind):
        save(tmp_path / "good.png")
        bad = tmp_path / kind
        match kind:
            case "truncated.png":
                noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
                Image.fromarray(noise).save(bad)
                bad.write_bytes(bad.read_bytes()[:6000])
            case "float.tif":
                save(bad, mode="F", colour=1.0)
            case _:
                save(bad, size=(1, 60_000))
        images = open_folder(tmp_path, **RGB | {"image_shape": (3, 224, 224), "resize": 256})
        assert len(images) == 1
        assert len(images.skipped) == 1
        assert len(next(images.batches(8))) == 1

    def test_plain_images_have_no_labels(self, tmp_path):
        save(tmp_path / "a.png")
        assert open_folder(tmp_path, **RGB).labels is None

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(UserError, match="holds no images"):
            open_folder(tmp_path, **RGB)

    def test_a_folder_of_broken_images(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"")
        with pytest.raises(UserError, match=r"none of the 1 images .* a\.png"):
            open_folder(tmp_path, **RGB)

    def test_batches_hold_every_image_once(self, tmp_path):
        for i in range(7):
            save(tmp_path / f"{i}.png", colour=(i, 0, 0))
        images = open_folder(tmp_path, **RGB)
        batches = list(images.batches(3))
        assert [len(batch) for batch in batches] == [3, 3, 1]
        assert (torch.cat(batches)[:, 0, 0, 0] * 255).round().tolist() == list(range(7))
        assert len(images.first(100)) == 7
        assert images.first(0).shape == (0, 3, 8, 8)

    def test_nothing_is_decoded_before_it_is_asked_for(self, tmp_path):
        for i in range(4):
            save(tmp_path / f"{i}.png")
        batches = open_folder(tmp_path, **RGB).batches(2)
        next(batches)
        (tmp_path / "3.png").unlink()
        with pytest.raises(UserError, match=r"3\.png can no longer be read"):
            next(batches)


class TestIdx:
    def test_images_and_labels(self, tmp_path):
        pixels = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2)
        write_idx(tmp_path / "x.gz", pixels)
        write_idx(tmp_path / "y.gz", np.array([9, 0, 255], np.uint8))
        images = open_idx(tmp_path / "x.gz", tmp_path / "y.gz", mean=(0.5,), std=(0.5,), name="toy")
        assert (len(images), images.name, images.skipped) == (3, "toy", [])
        assert images.labels.tolist() == [9, 0, 255]
        expected = (torch.from_numpy(pixels)[:, None] / 255 - 0.5) / 0.5
        assert torch.equal(torch.cat(list(images.batches(2))), expected)
        assert torch.equal(images.first(2), expected[:2])

    def test_only_the_labels_that_are_asked_for(self, tmp_path):
        pixels = np.arange(4 * 2 * 2, dtype=np.uint8).reshape(4, 2, 2)
        write_idx(tmp_path / "x.gz", pixels)
        write_idx(tmp_path / "y.gz", np.array([5, 0, 2, 5], np.uint8))
        images = open_idx(
            tmp_path / "x.gz", tmp_path / "y.gz", mean=(0.0,), std=(1.0,), name="", only=(5, 2)
        )
        assert images.labels.tolist() == [5, 2, 5]
        expected = torch.from_numpy(pixels[[0, 2, 3]])[:, None] / 255
        assert torch.equal(images.first(3), expected)

    def test_halved_images_come_with_what_they_were(self, tmp_path):
        pixels = np.repeat(np.repeat(np.array([[[0, 200], [100, 40]]], np.uint8), 8, 1), 8, 2)
        write_idx(tmp_path / "x.gz", pixels)
        small = open_idx(tmp_path / "x.gz", None, mean=(0.5,), std=(0.5,), name="toy", halved=True)
        assert small.first(1).shape == (1, 1, 8, 8)
        assert torch.equal(small.truth.first(1), torch.from_numpy(pixels)[None] / 255 / 0.5 - 1)
        corners = small.pixels(small.first(1))[0, 0, 0, [0, 7]] * 255  # far from every edge
        assert corners.tolist() == pytest.approx([0.0, 200.0], abs=1e-4)
        columns = torch.tensor([0, 200], dtype=torch.uint8).repeat(16).expand(1, 1, 32, 32)
        middle = halved(columns)[..., 4:-4, 4:-4]
        assert bool(((middle.float() - 100).abs() < 25).all()), (
            "what is finer than a pixel is averaged"
        )
        flat = torch.full((1, 1, 6, 6), 77, dtype=torch.uint8)
        assert torch.equal(halved(flat), flat[..., :3, :3])
        assert torch.allclose(enlarged(halved(flat).float(), (6, 6)), flat.float())

    def test_labels_of_another_set_are_refused(self, tmp_path):
        write_idx(tmp_path / "x.gz", np.zeros((3, 2, 2), np.uint8))
        write_idx(tmp_path / "y.gz", np.zeros(2, np.uint8))
        with pytest.raises(UserError, match=r"2 labels, x\.gz 3 images"):
            open_idx(tmp_path / "x.gz", tmp_path / "y.gz", mean=(0,), std=(1,), name="toy")

    def test_the_header_is_the_format_s_own(self, tmp_path):
        write_idx(tmp_path / "x.gz", np.array([[1, 2, 3]], np.uint8))
        raw = gzip.decompress((tmp_path / "x.gz").read_bytes())
        assert raw == struct.pack(">HBBII", 0, 8, 2, 1, 3) + b"\1\2\3"
        assert read_idx(tmp_path / "x.gz").tolist() == [[1, 2, 3]]

    def test_the_same_array_is_the_same_file(self, tmp_path):
        for name in ("a.gz", "b.gz"):
            write_idx(tmp_path / name, np.ones((2, 2), np.uint8))
        assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()

    @pytest.mark.parametrize("raw", [b"", b"\0\0\x0d\1\0\0\0\0", b"\0\0\x08\1\0\0\0\5ab"])
    def test_another_format_is_refused(self, tmp_path, raw):
        (tmp_path / "x.gz").write_bytes(gzip.compress(raw))
        with pytest.raises(ValueError, match=r"x\.gz"):
            read_idx(tmp_path / "x.gz")


def test_a_card_chooses_how_images_are_resized(tmp_path):
    """Against Pillow's own two filters on a picture that is twice too large."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for name, filter_ in (("bicubic", Image.BICUBIC), ("bilinear", Image.BILINEAR)):
        images = open_folder(
            tmp_path, image_shape=(3, 8, 8), mean=(0,) * 3, std=(1,) * 3, resize=8,
            interpolation=name,
        )  # fmt: skip
        wanted = np.asarray(Image.fromarray(pixels).resize((8, 8), filter_))
        got = (images.first(1)[0] * 255).round().numpy().astype(np.uint8)
        assert np.array_equal(np.moveaxis(got, 0, -1), wanted)
