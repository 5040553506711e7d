"""Hypothesis strategies for the data of one task, boring and uncomfortable ones among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from toylin._internal import checks
from toylin.tasks import BinaryPoints, ClassPoints, RegressionPoints
from toylin.testing._strategies import SearchStrategy, arrays, check_size, st


def regression_points(
    points: int = 4, dim: int = 1, outputs: int = 1, size: float = 2.0
) -> SearchStrategy[RegressionPoints]:
    """Data of one regression task; points may coincide, be zero, or be fewer than ``dim``.

    Args:
        points: how many.
        dim: the dimension of the inputs.
        outputs: the number of outputs.
        size: how large an input or a target can be.

    Raises:
        ValueError: an argument of the wrong kind or size.
    """
    checks.integer("outputs", outputs, minimum=1)
    x = _inputs(points, dim, size)
    y = arrays((points, outputs) if outputs > 1 else (points,), size).map(jnp.asarray)
    return st.builds(RegressionPoints, x, y)


def binary_points(points: int = 4, dim: int = 1, size: float = 2.0) -> SearchStrategy[BinaryPoints]:
    """Data of one binary task, labels -1 and +1 in any numbers.

    Args:
        points: how many.
        dim: the dimension of the inputs.
        size: how large an input can be.

    Raises:
        ValueError: an argument of the wrong kind or size.
    """
    return st.builds(BinaryPoints, _inputs(points, dim, size), _labels(points, (1.0, -1.0)))


def class_points(
    points: int = 4, dim: int = 1, classes: int = 3, size: float = 2.0
) -> SearchStrategy[ClassPoints]:
    """Data of one task of several classes, which need not all be there.

    Args:
        points: how many.
        dim: the dimension of the inputs.
        classes: the number of classes.
        size: how large an input can be.

    Raises:
        ValueError: an argument of the wrong kind or size.
    """
    checks.integer("classes", classes, minimum=2)
    labels = _labels(points, range(classes))
    return st.builds(ClassPoints, _inputs(points, dim, size), labels, st.just(classes))


def _inputs(points: int, dim: int, size: float) -> SearchStrategy[Any]:
    checks.integer("points", points, minimum=1)
    checks.integer("dim", dim, minimum=1)
    return arrays((points, dim), check_size(size)).map(jnp.asarray)


def _labels(points: int, values: Sequence[float]) -> SearchStrategy[Any]:
    found = st.lists(st.sampled_from(values), min_size=points, max_size=points)
    return found.map(jnp.asarray)
