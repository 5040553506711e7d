"""Images by class: what few-shot tasks on images are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Int


@pytree_dataclass
class ImageClasses:
    """Images by class, as one array.

    Args:
        images: shape (classes, examples, ...): (classes, examples, height, width, channels), or
            (classes, examples, dim) for models of vectors, as ``flat`` makes them. Bytes from 0 to
            255, which tasks show as numbers from 0 to 1, or floats, shown as they are.
        counts: shape (classes,): how many of each class's examples there are; those after are
            padding. None where all are.
        names: of the classes, if they have any.

    Raises:
        ValueError: images that are neither bytes nor finite floats, fewer than three axes, no
            image, counts out of range, or not one count or name a class.

    >>> digits = ImageClasses(np.zeros((10, 20, 8, 8, 1), np.uint8))
    >>> digits.flat().images.shape, digits.with_rotations().num_classes
    ((10, 20, 64), 40)
    """

    images: Array
    counts: Int[Array, " classes"] | None = None
    names: tuple[str, ...] | None = static_field(default=None)
    fewest: int = static_field(init=False, default=0)

    def __post_init__(self) -> None:
        shape = _check_images(self.images)
        num, most = shape[:2]
        fewest = most
        if self.counts is not None:
            counts = np.asarray(checks.concrete("counts", self.counts))
            if counts.shape != (num,):
                raise ValueError(
                    f"counts must have shape ({num},), one a class of images, got {counts.shape}"
                )
            if np.any(counts != np.floor(counts)) or np.any((counts < 1) | (counts > most)):
                raise ValueError(
                    f"counts must be integers from 1 to {most}, the examples of images, "
                    f"got {counts.min():g} to {counts.max():g}"
                )
            fewest = int(counts.min())
            object.__setattr__(self, "counts", jnp.asarray(counts, jnp.int32))
        if self.names is not None:
            if not isinstance(self.names, Sequence | np.ndarray) or isinstance(self.names, str):
                raise ValueError(f"names must be a tuple of words, got {self.names!r}")
            names = tuple(map(str, self.names))
            if len(names) != num:
                raise ValueError(f"names must be {num}, one a class, got {len(names)}")
            object.__setattr__(self, "names", names)
        object.__setattr__(self, "images", jnp.asarray(self.images))
        object.__setattr__(self, "fewest", fewest)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return self.images.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.images.shape[2:]

    def flat(self) -> ImageClasses:
        """The images as vectors, for the deep linear model."""
        return self._with(self.images.reshape(*self.images.shape[:2], -1))

    def with_rotations(self) -> ImageClasses:
        """Each class four times, turned by 0, 90, 180 and 270 degrees: classes of their own.

        Raises:
            ValueError: images that are no squares of shape (side, side, channels).
        """
        if len(self.shape) != 3 or self.shape[0] != self.shape[1]:
            raise ValueError(
                f"images must have shape (side, side, channels) to be turned, got {self.shape}"
            )
        turned = [jnp.rot90(self.images, k, axes=(2, 3)) for k in range(4)]
        counts = None if self.counts is None else jnp.tile(self.counts, 4)
        names = self.names
        if names is not None:
            names = tuple(f"{n}/{90 * k}" if k else n for k in range(4) for n in names)
        return ImageClasses(jnp.concatenate(turned), counts, names)

    def select(self, classes: Sequence[int | str]) -> ImageClasses:
        """Only these classes, by number or by name; how to split by class.

        Args:
            classes: which, in what order.

        Raises:
            ValueError: a class that there is not, or twice the same.
        """
        if not isinstance(classes, Sequence | np.ndarray) or isinstance(classes, str):
            raise ValueError(f"classes must be a list of numbers or names, got {classes!r}")
        found = [self._index(c) for c in classes]
        if not found or len(set(found)) < len(found):
            raise ValueError(f"classes must be different ones, at least one, got {list(classes)}")
        counts = None if self.counts is None else self.counts[np.array(found)]
        names = None if self.names is None else tuple(self.names[i] for i in found)
        return ImageClasses(self.images[np.array(found)], counts, names)

    def _index(self, which: int | str) -> int:
        if isinstance(which, str):
            if self.names is None or which not in self.names:
                raise ValueError(f"classes must be among names, got {which!r}")
            return self.names.index(which)
        checks.integer("every entry of classes", which, minimum=0, maximum=self.num_classes - 1)
        return int(which)

    def _with(self, images: Array) -> ImageClasses:
        return ImageClasses(images, self.counts, self.names)

    def smallest(self) -> str:
        """The class of the fewest images, in words."""
        if self.counts is None or isinstance(self.counts, jax.core.Tracer):
            return f"a class has {self.fewest} images"
        which = int(np.argmin(np.asarray(self.counts)))
        name = which if self.names is None else repr(self.names[which])
        return f"class {name} has {self.fewest} image{'s' if self.fewest > 1 else ''}"


def _check_images(images: Any) -> tuple[int, ...]:
    if not isinstance(images, jax.Array | np.ndarray):
        raise ValueError(f"images must be an array, got {type(images).__name__}")
    shape = images.shape
    if len(shape) < 3 or 0 in shape:
        raise ValueError(
            f"images must have shape (classes, examples, ...) with an image at least, got {shape}"
        )
    if images.dtype != np.uint8:
        if not jax.dtypes.issubdtype(images.dtype, np.floating):
            raise ValueError(f"images must be bytes (uint8) or floats, got {images.dtype}")
        if not isinstance(images, jax.core.Tracer) and not np.all(np.isfinite(images)):
            raise ValueError("images must be finite, got NaN or inf")
    return shape
