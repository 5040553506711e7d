"""Collections of photographs in folders of classes, by their published splits of the classes."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from toylin._internal import checks
from toylin.images._load import group, load, root_of
from toylin.images._source import Source, look
from toylin.tasks import ImageClasses

SPLITS = ("train", "val", "test")


def mini_imagenet(root: str | Path, split: str = "train", size: int = 84) -> ImageClasses:
    """mini-ImageNet's photographs, by the split of its 100 classes of Ravi and Larochelle.

    Args:
        root: a folder or zip in which the images of a class lie in a folder named for it
            (``n01532829``, ...), at any depth.
        split: "train" (64 classes), "val" (16) or "test" (20).
        size: the side of the square to bring photographs to.

    Returns:
        The classes, of images of shape (size, size, 3).

    Raises:
        ValueError: the split is none of these, classes are missing, or a file is damaged.

    Source: Ravi and Larochelle, "Optimization as a Model for Few-Shot Learning", ICLR 2017.
    """
    return _load("mini-imagenet", root, split, size, _IMAGENET)


def cifar_fs(root: str | Path, split: str = "train", size: int = 32) -> ImageClasses:
    """CIFAR-FS's photographs, by the split of CIFAR-100's classes of Bertinetto et al.

    Args:
        root: a folder or zip in which the images of a class lie in a folder named for it
            (``apple``, ...), at any depth.
        split: "train" (64 classes), "val" (16) or "test" (20).
        size: the side of the square to bring photographs to.

    Returns:
        The classes, of images of shape (size, size, 3).

    Raises:
        ValueError: the split is none of these, classes are missing, or a file is damaged.

    Source: Bertinetto, Henriques, Torr and Vedaldi, "Meta-learning with differentiable closed-form
    solvers", ICLR 2019.
    """
    return _load("cifar-fs", root, split, size, _CIFAR)


_IMAGENET = (
    "its licence wants a person to agree: get ImageNet from https://image-net.org, and put the 600 "
    "images of each class into a folder named for it, such as train/n01532829/*.jpg"
)
_CIFAR = (
    "get it by the links of https://github.com/bertinetto/r2d2, or write CIFAR-100 "
    "(https://www.cs.toronto.edu/~kriz/cifar.html) as a folder a class, such as apple/*.png"
)


def _load(name: str, root: str | Path, split: str, size: int, how: str) -> ImageClasses:
    checks.choice("split", split, SPLITS)
    wanted = published_split(name)[split]
    source = look(root_of(root))
    classes = group(source.files, lambda file: _class_of(file, wanted))
    _check_complete(source, wanted, classes, name, how)
    return load(source, classes, f"{name}-{split}", size, "rgb")


def _class_of(name: str, wanted: tuple[str, ...]) -> str | None:
    folder = name.split("/")[-2] if "/" in name else ""
    return folder if folder in wanted else None


def _check_complete(
    source: Source, wanted: tuple[str, ...], found: dict[str, list[str]], name: str, how: str
) -> None:
    missing = [c for c in wanted if c not in found]
    if missing:
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise ValueError(
            f"root must hold {name}'s images in folders named for their classes, but "
            f"{str(source.path)!r} has none of {len(missing)} of {len(wanted)} classes ({some}); "
            f"{how}"
        )


COLLECTIONS = ("mini-imagenet", "cifar-fs")


def published_split(name: str) -> dict[str, tuple[str, ...]]:
    """The names of the classes of every split.

    Args:
        name: "mini-imagenet" or "cifar-fs".

    Raises:
        ValueError: another name.
    """
    checks.choice("name", name, COLLECTIONS)
    return dict(_split(name))


@cache
def _split(name: str) -> dict[str, tuple[str, ...]]:
    """From a text beside this file, a line each."""
    text = resources.files("toylin.images").joinpath(f"{name}.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if line]
    return {words[0]: tuple(sorted(words[1:])) for words in lines}
