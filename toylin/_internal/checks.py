"""Argument checks: a ValueError that names the argument, what it got and what it may be.

Values are checked when they are concrete. Under ``jit``, ``vmap`` and ``grad`` a value is a tracer,
of which only the shape is known; the shape is checked then too.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

MOST = 2**31 - 1  # of what XLA counts by


def shape_of(name: str, value: Any) -> tuple[int, ...]:
    """The shape of a number or an array."""
    try:
        return np.shape(value)
    except ValueError:
        raise ValueError(f"{name} must be a number or an array, got {value!r}") from None


def concrete(name: str, value: Any) -> np.ndarray | None:
    """``value`` as a float array, or None where it is a tracer; real numbers either way."""
    wanted = f"{name} must be a real number or an array of them, got {value!r}"
    if isinstance(value, jax.core.Tracer):
        if not _is_real(value.dtype):
            raise ValueError(wanted)
        return None
    try:
        array = np.asarray(value)
        # Exact numbers (fractions) come as objects.
        if not (_is_real(array.dtype) or array.dtype == object):
            raise ValueError(wanted)
        return array.astype(float)
    except (TypeError, ValueError):
        raise ValueError(wanted) from None


def _is_real(dtype: Any) -> bool:
    return jax.dtypes.issubdtype(dtype, np.number) and not (
        jax.dtypes.issubdtype(dtype, np.complexfloating)
    )


def integer(name: str, value: Any, minimum: int, maximum: int = MOST, otherwise: str = "") -> None:
    """An integer of at least ``minimum`` and at most ``maximum``; ``otherwise`` is good as well."""
    try:
        index = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        index = None
    if index is None or index < minimum:
        raise ValueError(
            f"{name} must be an integer of at least {minimum}{otherwise}, got {value!r}"
        )
    if index > maximum:
        raise ValueError(f"{name} must be an integer of at most {maximum}, got {value!r}")


def shots(value: Any) -> None:
    """A number of support points, or None for the population."""
    if value is not None:
        integer("shots", value, minimum=1, otherwise=", or None for the population")


def scalar(name: str, value: Any, minimum: float = -math.inf) -> None:
    """A finite number of at least ``minimum``."""
    bound = "" if minimum == -math.inf else f" of at least {minimum:g}"
    number = concrete(name, value)
    if shape_of(name, value) != ():
        raise ValueError(
            f"{name} must be one finite number{bound}, got shape {np.shape(value)}; "
            "to try several at once, build the object inside jax.vmap"
        )
    if number is not None and not (np.isfinite(number) and number >= minimum):
        raise ValueError(f"{name} must be a finite number{bound}, got {value!r}")


def vector(name: str, value: Any, dim: int) -> None:
    """A finite number (for every coordinate) or a finite vector of ``dim`` of them."""
    array = concrete(name, value)
    if shape_of(name, value) not in ((), (dim,)):
        raise ValueError(
            f"{name} must be a number or have shape ({dim},) to agree with dim={dim}, "
            f"got shape {np.shape(value)}"
        )
    if array is not None and not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {value!r}")


def covariance(name: str, value: Any, dim: int, singular: bool = False) -> None:
    """A positive number (that multiple of the identity) or a positive definite matrix.

    With ``singular`` the matrix may have a lower rank, but not be zero.
    """
    array = concrete(name, value)
    shape = shape_of(name, value)
    if len(shape) == 2 and shape[0] != shape[1]:
        raise ValueError(f"{name} must be square, got shape {shape}")
    if shape not in ((), (dim, dim)):
        raise ValueError(
            f"{name} must be a number or have shape ({dim}, {dim}) to agree with dim={dim}, "
            f"got shape {shape}"
        )
    if array is None:
        return
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {value!r}")
    matrix = array.reshape(1, 1) if shape == () else array
    if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=0.0):
        raise ValueError(f"{name} must be symmetric, got {value!r}")
    singular = singular and shape != ()
    if singular and _has_lower_rank(matrix, np.asarray(value).dtype):
        return
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    if smallest <= 0:
        wanted = "positive semidefinite and not zero" if singular else "positive definite"
        raise ValueError(
            f"{name} must be {wanted}, got {value!r} with smallest eigenvalue {smallest:g}"
        )
    if smallest < np.finfo(float).tiny:
        raise ValueError(
            f"{name} must have eigenvalues of {np.finfo(float).tiny:.3g} at least (below, floats "
            f"lose digits), got {value!r}"
        )


def rank_tolerance(dim: int, eps: float) -> float:
    """The largest eigenvalue that is zero, of a matrix with ones on its diagonal."""
    return 8 * dim * eps


def _has_lower_rank(matrix: np.ndarray, dtype: np.dtype) -> bool:
    """Positive semidefinite and singular, to the rounding of ``dtype``, and not zero."""
    variances = np.diag(matrix)
    if np.any(variances < 0) or np.max(variances) < np.finfo(float).tiny:
        return False
    std = np.sqrt(np.where(variances > 0, variances, 1))
    eps = np.finfo(dtype if np.issubdtype(dtype, np.floating) else float).eps
    smallest = np.linalg.eigvalsh(matrix / std[:, None] / std)[0]
    return bool(abs(smallest) <= rank_tolerance(len(matrix), float(eps)))


def instance(name: str, value: Any, kinds: type | tuple[type, ...]) -> None:
    """One of ``kinds``."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{name} must be a {wanted}, got {value!r}")


def flag(name: str, value: Any) -> None:
    """True or False."""
    instance(name, value, bool)


def function(name: str, value: Any, wanted: str) -> None:
    """A function, of what ``wanted`` says."""
    if not callable(value):
        raise ValueError(f"{name} must be a function {wanted}, got {value!r}")


def choice(name: str, value: Any, options: Iterable[str]) -> None:
    """One of a few words."""
    options = tuple(options)
    if not (isinstance(value, str) and value in options):
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {value!r}")


def positive(name: str, value: Any, below: float = math.inf) -> None:
    """A finite number above 0, and below a bound."""
    bound = "" if below == math.inf else f" below {below:g}"
    scalar(name, value)
    number = concrete(name, value)
    if number is not None and not 0 < number < below:
        raise ValueError(f"{name} must be a positive number{bound}, got {value!r}")


def path(name: str, value: Any) -> Path:
    """The path that a text or a path names."""
    if not (isinstance(value, str | os.PathLike) and str(value)):
        raise ValueError(f"{name} must be the path of a file or folder, got {value!r}")
    return Path(value)


def float_leaves(name: str, tree: Any) -> None:
    """A pytree of arrays of one float type, at least one of them."""
    leaves = jax.tree.leaves(tree)
    if not leaves:
        raise ValueError(f"{name} must hold at least one array, got {tree!r}")
    found = set()
    for leaf in leaves:
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
            raise ValueError(f"{name} must hold arrays of floats, got {leaf!r}")
        found.add(str(leaf.dtype))
        if not jax.dtypes.issubdtype(leaf.dtype, np.floating):
            raise ValueError(f"{name} must hold arrays of floats, got one of {leaf.dtype}")
        if 0 in leaf.shape:
            raise ValueError(f"{name} must hold arrays with entries, got one of {leaf.shape}")
    if len(found) > 1:
        raise ValueError(
            f"{name} must hold arrays of one float type, got {' and '.join(sorted(found))}"
        )


def numbers(name: str, value: Any) -> Any:
    """Real numbers as an array, of the float or integer type that they have."""
    found = concrete(name, value)
    if isinstance(value, jax.Array):
        return value
    array = np.asarray(value)
    if array.dtype != object:
        return array
    if found is None or not np.all(np.isfinite(found)):
        raise ValueError(f"{name} must be a real number or an array of them, got {value!r}")
    return found


def real(name: str, value: Any) -> tuple[int, ...]:
    """Real numbers, finite where they are concrete; their shape."""
    shape = shape_of(name, value)
    array = concrete(name, value)
    if array is not None and not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return shape


def not_zero(name: str, value: Any) -> None:
    """Finite real numbers that are not all zero."""
    real(name, value)
    array = concrete(name, value)
    if array is not None and not np.any(array):
        raise ValueError(f"{name} must not be zero, got {value!r}")


def ndim(name: str, value: Any, axes: int) -> None:
    """An array of that many axes."""
    if len(shape_of(name, value)) != axes:
        raise ValueError(f"{name} must have {axes} axes, got shape {np.shape(value)}")


def two_variables(name: str, points: Any) -> None:
    """Rows of two numbers, as what is drawn on a plane must be."""
    if np.shape(points)[1] != 2:
        raise ValueError(f"{name} must have two variables to be drawn, got {np.shape(points)[1]}")


def key(name: str, value: Any) -> None:
    """One JAX random key, ``jax.random.key(0)`` or the older ``jax.random.PRNGKey(0)``."""
    dtype, shape = getattr(value, "dtype", None), shape_of(name, value)
    typed = dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
    raw = dtype is not None and dtype == np.uint32 and isinstance(value, jax.Array | np.ndarray)
    if not ((typed and shape == ()) or (raw and shape == (2,))):
        what = f"an array of shape {shape} and type {dtype}" if dtype is not None else repr(value)
        raise ValueError(f"{name} must be one JAX random key, jax.random.key(seed), got {what}")


def array(name: str, value: Any, axes: int, finite: bool = True) -> np.ndarray:
    """Real numbers as an array of that many axes, with one entry at least."""
    found = concrete(name, value)
    if found is None or found.ndim != axes or not found.size:
        raise ValueError(
            f"{name} must be an array of {axes} axes that is not empty, got {shape_of(name, value)}"
        )
    if finite and not np.all(np.isfinite(found)):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return found


def as_long(name: str, value: np.ndarray, other: str, length: int) -> None:
    """An array with as many entries as another has."""
    if len(value) != length:
        raise ValueError(f"{name} must have {length} entries, as {other} has, got {len(value)}")


# What tells what matplotlib makes, so that it need not be imported.
_DRAWABLE = {"axes": "transData", "a figure": "add_subplot", "what has colours": "to_rgba"}


def drawable(name: str, value: Any, kind: str = "axes", optional: bool = False) -> None:
    """Axes of matplotlib, a figure, or what has colours."""
    if not (hasattr(value, _DRAWABLE[kind]) or (optional and value is None)):
        raise ValueError(f"{name} must be {kind} of matplotlib, got {value!r}")


def text(name: str, value: Any, optional: bool = False) -> None:
    """A text."""
    if not (isinstance(value, str) or (optional and value is None)):
        raise ValueError(f"{name} must be a text, got {value!r}")
