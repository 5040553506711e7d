"""Any folder of folders of images."""

from __future__ import annotations

from pathlib import Path

from toylin.images._load import group, load, root_of
from toylin.images._source import Source, look
from toylin.tasks import ImageClasses


def image_folder(root: str | Path, size: int | None = None, colour: str = "rgb") -> ImageClasses:
    """Images in a folder (or zip) of folders, one a class.

    A class is a folder that holds images, named by its path below ``root``. The decoded array is
    kept in a hidden file beside them, or in the user's cache where that cannot be written.

    Args:
        root: the folder, or a zip of it.
        size: the side of the square to bring images to; None if they all have one size.
        colour: "rgb" or "grey".

    Returns:
        The classes, of images of shape (size, size, 3) or (size, size, 1).

    Raises:
        ValueError: no such folder, no class, an empty class, a damaged image, or images of
            different sizes without ``size``; the message names the file or the class.
    """
    source = look(root_of(root))
    classes = group(source.files, lambda name: name.rpartition("/")[0] or None)
    _check_classes(source, classes)
    return load(source, classes, "folder", size, colour)


def _check_classes(source: Source, classes: dict[str, list[str]]) -> None:
    if source.folders:
        raise ValueError(
            f"root must hold folders of images, one a class, but {source.folders[0]!r} in "
            f"{str(source.path)!r} holds none"
        )
    if len(classes) < 2:
        raise ValueError(
            f"root must hold two folders of images at least, one a class, got {len(classes)} in "
            f"{str(source.path)!r}"
        )
