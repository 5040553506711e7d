"""Image files as one array of bytes, class by class."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toylin._internal.memory import check_fits
from toylin.images._source import Reader

COLOURS = {"grey": "L", "rgb": "RGB"}


def decode(
    classes: Mapping[str, Sequence[str]], read: Reader, where: str, size: int | None, colour: str
) -> tuple[np.ndarray, np.ndarray]:
    """All images of all classes, and how many each has.

    Args:
        classes: the files of every class.
        read: reads a file.
        where: what they lie in, for messages.
        size: the side of the square that images are brought to; None keeps theirs, which must then
            all be one.
        colour: "grey" or "rgb".

    Returns:
        Bytes of shape (classes, most of a class, height, width, channels), and the counts.

    Raises:
        ValueError: a file that is no image or damaged, or sizes that differ; the message names it.
    """
    counts = np.array([len(files) for files in classes.values()])
    images: np.ndarray | None = None
    first = ""
    for i, files in enumerate(classes.values()):
        for j, name in enumerate(files):
            image = _decode_one(read, name, where, size, colour)
            if images is None:
                shape, first = (len(counts), counts.max(), *image.shape), name
                check_fits(f"decoding {counts.sum():,} images", int(np.prod(shape)), np.uint8)
                images = np.zeros(shape, np.uint8)
            if image.shape != images.shape[2:]:
                raise ValueError(
                    f"size must be given where images differ: in {where}, {first} has shape "
                    f"{images.shape[2:4]} and {name} {image.shape[:2]}"
                )
            images[i, j] = image
    assert images is not None
    return images, counts


def _decode_one(read: Reader, name: str, where: str, size: int | None, colour: str) -> np.ndarray:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # A picture of absurd size is refused, not warned of.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture: Any = Image.open(io.BytesIO(read(name))).convert(COLOURS[colour])
            if size is not None and picture.size != (size, size):
                picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    except Exception as error:  # of Pillow, zipfile, zlib and the file system
        raise ValueError(
            f"{name} in {where} must be an image that can be read: {_first_line(error)}"
        ) from None
    array = np.asarray(picture, np.uint8)
    return array[:, :, None] if array.ndim == 2 else array


def _first_line(error: Exception) -> str:
    text = str(error).replace("<_io.BytesIO object at ", "").partition("\n")[0]
    return "it is damaged, or no image" if "cannot identify" in text else text or repr(error)
