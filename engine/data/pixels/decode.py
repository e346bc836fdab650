"""One image file to pixels as a network wants them: right side up, its channels, its crop."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from engine.data.pixels import high_bit_depth
from engine.data.pixels.pixel_range import Shades

MAX_PIXELS = 64_000_000  # a larger picture is a mistake or an attack; 64 million take 200 MB
# Found by a file's first bytes, whatever its name: no format of Pillow's that starts another program.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000")
_LARGE = 16_000_000  # pixels from which pictures are decoded one at a time
_MOST_PER_BYTE = 500  # pixels of such a picture from a byte of its file: photos have ten at most
_one_at_a_time = threading.Lock()
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_ALPHA = {"RGBA", "RGBa", "LA", "La", "PA"}


def decode(
    path: Path,
    shape: tuple[int, int, int],
    resize: int,
    interpolation: str = "bicubic",
    divisor: int = high_bit_depth.FULL,
) -> NDArray[np.uint8]:
    """The image as [channels, height, width], resized and centre-cropped as `fit` says.

    `divisor` is of values of more than 8 bits, see `engine.data.pixels.high_bit_depth`.
    Raises OSError, ValueError or SyntaxError (Pillow's own) where the file is no readable image. What it
    takes is known from its first bytes, so that nothing is decoded in vain.
    """
    with _opened(path, shape, resize) as file:
        return to_pixels(ImageOps.exif_transpose(file), shape, resize, interpolation, divisor)


@contextmanager
def _opened(path: Path, shape: tuple[int, int, int], resize: int) -> Iterator[Image.Image]:
    """The picture, not yet decoded, with sides that are within bounds, also once it is resized."""
    try:
        file = Image.open(path, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"it has more than {MAX_PIXELS:,} pixels; make it smaller") from error
    with file:
        width, height = file.size
        _check_pixels(width, height)
        for size in ((width, height), (height, width)):  # it may have been taken sideways
            _fitted_size(size, shape[1], shape[2], resize)
        if width * height <= _LARGE:
            yield file
            return
        if width * height > _MOST_PER_BYTE * path.stat().st_size:
            raise ValueError(f"{width}x{height} pixels from so small a file are no photo")
        with _one_at_a_time:
            yield file


def to_pixels(
    image: Image.Image,
    shape: tuple[int, int, int],
    resize: int,
    interpolation: str = "bicubic",
    divisor: int = high_bit_depth.FULL,
) -> NDArray[np.uint8]:
    """An opened image as [channels, height, width]; ValueError where it cannot be."""
    channels, height, width = shape
    if channels not in (1, 3):
        raise ValueError(f"pictures have 1 or 3 channels, the network takes {channels}")
    image = fit(to_mode(image, channels, divisor), height, width, resize, interpolation)
    pixels = np.asarray(image, np.uint8)
    return pixels[None] if channels == 1 else np.moveaxis(pixels, -1, 0)


def check(path: Path, shape: tuple[int, int, int], resize: int) -> Shades:
    """The picture's shades; raises what `decode` would raise, in half of its time for photos."""
    with _opened(path, shape, resize) as file:
        if file.format == "JPEG":
            # Decode an eighth of the size: reads the whole file, so a torn one still shows.
            file.draft(None, (max(1, file.width // 8), max(1, file.height // 8)))
            shades = np.asarray(file)
            return Shades(int(shades.min()), int(shades.max()))
        upright = ImageOps.exif_transpose(file)
        pixels = to_pixels(upright, shape, resize)
        return Shades(int(pixels.min()), int(pixels.max()), high_bit_depth.largest(upright))


def to_mode(image: Image.Image, channels: int, divisor: int = high_bit_depth.FULL) -> Image.Image:
    """The image in grey (1 channel) or RGB (3): 16 bits scaled to 8, alpha laid on white."""
    if image.mode in high_bit_depth.MODES:
        image = high_bit_depth.to_bytes(image, divisor)
    elif image.mode == "F":
        raise ValueError("its pixels are floats, whose range is not known")
    if image.mode in _ALPHA or "transparency" in image.info:
        # What lies under transparent pixels is arbitrary; on white is how pages show them.
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")


def fit(
    image: Image.Image, height: int, width: int, resize: int, interpolation: str = "bicubic"
) -> Image.Image:
    """The centre of the image, height x width.

    A short side longer than `resize` is first brought to `resize`, an image smaller than the crop
    enlarged to just cover it; anything between stays as it is.
    """
    size = _fitted_size(image.size, height, width, resize)
    if size != image.size:
        image = image.resize(size, _RESAMPLING[interpolation])
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def _fitted_size(size: tuple[int, int], height: int, width: int, resize: int) -> tuple[int, int]:
    short = min(size)
    scale = resize / short if short > resize else 1.0
    scale = max(scale, width / size[0], height / size[1])
    # Cut off like torchvision does, so that the same pixels come out; 1e-6 undoes float rounding.
    w, h = (math.floor(side * scale + 1e-6) for side in size)
    w, h = max(w, width), max(h, height)
    _check_pixels(w, h)
    return w, h


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width}x{height} pixels are too many; the limit is {MAX_PIXELS:,}")
