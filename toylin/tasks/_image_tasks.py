"""Few-shot tasks on images: some classes of many, drawn inside the compiled program."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks, flat_draws
from toylin._internal.dtypes import float_dtype
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Int, PRNGKeyArray
from toylin.tasks._batch import Batch
from toylin.tasks._class_data import ClassPoints, class_after_class
from toylin.tasks._image_classes import ImageClasses
from toylin.tasks._law import check_sizes


@pytree_dataclass
class ImageTasks:
    """Tasks of ``ways`` classes drawn from many, and images of each, none twice.

    Classes are drawn without replacement and numbered in the order in which they are drawn; so are
    the images of each, first the support's, then the query's. To score on unseen classes, give
    other classes: images are split by class, never by example (``ImageClasses.select``).

    Args:
        images: ``ImageClasses``, or an array of shape (classes, examples, ...).
        ways: the number of classes of a task, at least 2.
        shots: the number of support images of each class.

    Raises:
        ValueError: no images, more ways than classes, or no image left for a query after shots;
            the message names the class.

    >>> images = ImageClasses(np.zeros((10, 20, 8, 8, 1), np.uint8)).flat()
    >>> tasks = ImageTasks(images, ways=5, shots=3)
    >>> batch = tasks.sample(jax.random.key(0), num_tasks=4, num_queries=7)
    >>> batch.support.x.shape, batch.query.x.shape
    ((4, 15, 64), (4, 35, 64))
    """

    images: ImageClasses
    ways: int = static_field(default=5)
    shots: int = static_field(default=5)

    def __post_init__(self) -> None:
        if not isinstance(self.images, ImageClasses):
            object.__setattr__(self, "images", ImageClasses(self.images))
        checks.integer("ways", self.ways, minimum=2)
        checks.integer("shots", self.shots, minimum=1)
        if self.ways > self.images.num_classes:
            raise ValueError(
                f"ways must be at most {self.images.num_classes}, the classes that there are, "
                f"got {self.ways}"
            )
        self._check_room("shots", self.shots, 1)

    def _check_room(self, name: str, value: int, num_queries: int) -> None:
        if self.shots + num_queries > self.images.fewest:
            raise ValueError(
                f"{name} must leave room for shots={self.shots} support and {num_queries} or more "
                f"query images of every class, but {self.images.smallest()}; got {value}"
            )

    @property
    def dim(self) -> int | None:
        """The dimension of the inputs, where they are vectors."""
        return self.images.shape[0] if len(self.images.shape) == 1 else None

    @property
    def outputs(self) -> int:
        """How many outputs a model of these tasks has, one a class."""
        return self.ways

    def sample(
        self,
        key: PRNGKeyArray,
        num_tasks: int,
        num_queries: int,
        dtype: DTypeLike | None = None,
    ) -> Batch:
        """Draw tasks, their support images and their query images, class after class.

        Args:
            key: a JAX random key.
            num_tasks: how many tasks.
            num_queries: query images of *each class*.
            dtype: of the images; JAX's default float type if None.

        Returns:
            A ``Batch`` of ``ClassPoints``; which classes were drawn, shape (tasks, ways), is its
            ``truth``.

        Raises:
            ValueError: no key, a number that is no positive integer, or more images than a class
                has.
        """
        checks.integer("num_queries", num_queries, minimum=1)
        each = (self.shots + num_queries) * int(np.prod(self.images.shape))
        check_sizes(key, num_tasks, num_queries, self.ways * each)
        self._check_room("num_queries", num_queries, num_queries)
        return self._sample(key, num_tasks, num_queries, float_dtype(dtype))

    @partial(jax.jit, static_argnames=("num_tasks", "num_queries", "dtype"))
    def _sample(
        self, key: PRNGKeyArray, num_tasks: int, num_queries: int, dtype: np.dtype
    ) -> Batch:
        key_classes, key_images = jax.random.split(key)
        pool, examples = self.images.images, self.images.images.shape[1]
        which = _distinct(key_classes, (num_tasks,), pool.shape[0], self.ways)
        counts = None if self.images.counts is None else self.images.counts[which]
        number = self.shots + num_queries
        images = _distinct(key_images, which.shape, examples, number, counts)

        def show(images: Array) -> ClassPoints:
            x = pool[which[:, :, None], images]
            return class_after_class(
                x.astype(dtype) / 255 if x.dtype == jnp.uint8 else x.astype(dtype)
            )

        return Batch(show(images[:, :, : self.shots]), show(images[:, :, self.shots :]), which)


def _distinct(
    key: PRNGKeyArray,
    shape: tuple[int, ...],
    most: int,
    number: int,
    counts: Int[Array, "*shape"] | None = None,
) -> Int[Array, "*shape number"]:
    """Rows of ``number`` different integers below ``most`` or the row's count, in any order.

    Floyd's algorithm: the i-th of k draws is below n - k + i + 1, and stands for n - k + i itself
    where it has been drawn before; then the row is shuffled. Its cost does not grow with ``most``.
    """
    key_draws, key_order = jax.random.split(key)
    ends = jnp.full(shape, most) if counts is None else counts
    last = ends[..., None] - number + jnp.arange(number)
    draws = flat_draws.integers(key_draws, last + 1)

    def take(i: Array, chosen: Array) -> Array:
        draw, instead = draws[..., i], last[..., i]
        again = jnp.any(chosen == draw[..., None], axis=-1)
        return chosen.at[..., i].set(jnp.where(again, instead, draw))

    chosen = jax.lax.fori_loop(0, number, take, jnp.full_like(draws, -1))
    order = jnp.argsort(flat_draws.bits(key_order, chosen.shape), axis=-1)
    return jnp.take_along_axis(chosen, order, axis=-1)
