"""Hypothesis strategies for models, laws of tasks and rules, boring values among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin.models import Params
from toylin.rules import MAML, Rule, make_rule
from toylin.tasks import BinaryClassification, Classification, LinearRegression

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "toylin.testing needs Hypothesis: pip install 'toylin[testing]'", name=missing.name
    ) from None

_BORING = (0.0, 1.0, -1.0, 2.0, 0.5)  # the simplest first, as Hypothesis shrinks
_FEW = 16
_BORING_SHARE = 0.25  # of the entries of arrays that are drawn by a seed


def numbers(low: float, high: float) -> SearchStrategy[float]:
    """Numbers between two others, the boring ones among them (0, 1, -1, 1/2, 2, and the two ends).

    A formula is often right where a number is 0 or 1, and as often wrong only there.

    Args:
        low: the least.
        high: the greatest.

    Raises:
        ValueError: ends that are not finite, or in the wrong order.
    """
    checks.scalar("low", low)
    checks.scalar("high", high)
    low, high = float(low), float(high)
    if low > high:
        raise ValueError(f"low must be at most high, got low={low!r} and high={high!r}")
    boring = dict.fromkeys(x for x in (*_BORING, low, high) if low <= x <= high)
    return st.one_of(st.sampled_from([*boring]), st.floats(low, high, allow_subnormal=False))


def params(
    depth: int = 2, dim: int = 1, size: float = 2.0, outputs: int = 1
) -> SearchStrategy[Params]:
    """Parameters of a deep linear model, hidden layers as wide as the input.

    Args:
        depth: L, the number of layers.
        dim: the dimension of the inputs.
        size: how large an entry can be.
        outputs: the number of outputs.

    Raises:
        ValueError: an argument of the wrong kind or size.
    """
    checks.integer("depth", depth, minimum=1)
    checks.integer("dim", dim, minimum=1)
    checks.integer("outputs", outputs, minimum=1)
    size = check_size(size)
    shapes = [(dim, dim)] * (depth - 1) + [(outputs, dim)]
    return st.tuples(*(arrays(shape, size).map(jnp.asarray) for shape in shapes))


def covariances(
    dim: int, low: float = 0.1, high: float = 4.0, singular: bool = False
) -> SearchStrategy[Any]:
    """Covariances: a number or, in several dimensions, a matrix too, of any orientation.

    Args:
        dim: the dimension.
        low: the least eigenvalue.
        high: the greatest.
        singular: whether a matrix may have a lower rank, all eigenvalues but one being 0 or more.

    Raises:
        ValueError: an argument of the wrong kind or size.
    """
    checks.integer("dim", dim, minimum=1)
    checks.positive("low", low)
    checks.flag("singular", singular)
    positive = numbers(low, high)
    if dim == 1:
        return positive
    others = st.one_of(positive, st.just(0.0)) if singular else positive

    def matrix(first: float, rest: list[float], entries: np.ndarray) -> np.ndarray:
        vectors = np.linalg.qr(entries + 3 * np.eye(dim))[0]
        product = vectors * np.asarray([first, *rest]) @ vectors.T
        return (product + product.T) / 2

    rest = st.lists(others, min_size=dim - 1, max_size=dim - 1)
    return st.one_of(positive, st.builds(matrix, positive, rest, arrays((dim, dim), 1.0)))


def regressions(
    dim: int = 1, shots: Sequence[int | None] = (None, 1, 4), size: float = 2.0, outputs: int = 1
) -> SearchStrategy[LinearRegression]:
    """Laws of linear regression tasks, without and with label noise, about any mean.

    Args:
        dim: the dimension of the inputs.
        shots: which numbers of support points, None for the population. Each is a program of its
            own.
        size: how far the mean of theta, the noise and the standard deviations go from 0.
        outputs: the number of outputs.

    Raises:
        ValueError: an argument of the wrong kind or size.
    """
    checks.integer("dim", dim, minimum=1)
    checks.integer("outputs", outputs, minimum=1)
    size, shots = check_size(size, 0.5), _shots(shots)
    between: SearchStrategy[Any] = st.none()
    means = [numbers(-size, size)]
    if dim > 1:
        means.append(arrays((dim,), size))
    if outputs > 1:
        means.append(arrays((outputs, dim), size))
        between = st.one_of(between, covariances(outputs, 0.1, size**2))
    return st.builds(
        LinearRegression,
        dim=st.just(dim),
        theta_mean=st.one_of(means),
        theta_cov=covariances(dim, 0.1, size**2, singular=True),
        x_cov=covariances(dim, 0.1, size**2),
        noise_std=numbers(0.0, size),
        shots=st.sampled_from(shots),
        outputs=st.just(outputs),
        output_cov=between,
    )


def classifications(
    dim: int = 1,
    shots: Sequence[int | None] | None = None,
    size: float = 2.0,
    classes: int | None = None,
) -> SearchStrategy[BinaryClassification] | SearchStrategy[Classification]:
    """Laws of classification tasks: binary ones or, with ``classes``, of that many classes.

    Args:
        dim: the dimension of the inputs.
        shots: which numbers of support points (of each class, with ``classes``), each a program of
            its own: the population, 1 and 4 if None, or 1 and 4 of each class, for which there
            is no population.
        size: how large the standard deviation of the class means and of the inputs can be.
        classes: the number of classes of ``Classification``; None is ``BinaryClassification``.

    Raises:
        ValueError: an argument of the wrong kind or size.
    """
    checks.integer("dim", dim, minimum=1)
    size = check_size(size, 0.5)
    law = {
        "dim": st.just(dim),
        "mean_std": numbers(0.0, size),
        "x_cov": covariances(dim, 0.1, size**2),
    }
    if classes is None:
        given = st.sampled_from(_shots((None, 1, 4) if shots is None else shots))
        return st.builds(BinaryClassification, **law, shots=given)
    checks.integer("classes", classes, minimum=2)
    given = st.sampled_from(_shots((1, 4) if shots is None else shots, population=False))
    return st.builds(Classification, **law, classes=st.just(classes), shots=given)


def maml_rules(steps: int = 1, low: float = -0.5, high: float = 1.0) -> SearchStrategy[MAML]:
    """MAML with step sizes of both signs (the best one can be negative).

    Args:
        steps: T, the number of inner steps.
        low: the least step size.
        high: the greatest.

    Raises:
        ValueError: a bad number of steps, or ends in the wrong order.
    """
    checks.integer("steps", steps, minimum=0)
    return numbers(low, high).map(lambda step_size: MAML(step_size, steps))


def learned_rules(
    name: str, params: Params, steps: int = 1, size: float = 0.5, **options: Any
) -> SearchStrategy[Rule]:
    """Rules of one name that have learned something: every leaf away from where it starts.

    Args:
        name: one of ``toylin.rules.RULES``.
        params: the parameters that the rule will adapt.
        steps: T, the number of inner steps.
        size: how far an entry moves from its start.
        options: as for ``make_rule``.

    Raises:
        ValueError: an unknown name, an option that the rule does not take, or a bad value.
    """
    size = check_size(size)
    start = make_rule(name, params, 0.1, steps, **options)
    leaves, structure = jax.tree.flatten(start)

    def moved(moves: tuple[Any, ...]) -> Rule:
        pairs = zip(leaves, moves, strict=True)
        return jax.tree.unflatten(structure, [jnp.asarray(x) + move for x, move in pairs])

    return st.tuples(*(arrays(np.shape(leaf), size) for leaf in leaves)).map(moved)


def check_size(size: float, minimum: float = 0.0) -> float:
    checks.scalar("size", size, minimum=minimum)
    return float(size)


def _shots(shots: Sequence[int | None], population: bool = True) -> tuple[int | None, ...]:
    if not isinstance(shots, Sequence) or isinstance(shots, str) or not shots:
        raise ValueError(f"shots must be a list of numbers of shots, or None, got {shots!r}")
    for count in shots:
        if count is not None or not population:
            checks.integer("every entry of shots", count, minimum=1)
    return tuple(shots)


def arrays(shape: tuple[int, ...], size: float) -> SearchStrategy[Any]:
    """Arrays of such numbers, each drawn where they are few; else all by one seed."""
    count = int(np.prod(shape))
    if count <= _FEW:
        entries = st.lists(numbers(-size, size), min_size=count, max_size=count)
        return entries.map(lambda found: np.reshape(found, shape))
    boring = [x for x in (*_BORING, -size, size) if abs(x) <= size]

    def drawn(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        chosen = np.where(
            rng.random(shape) < _BORING_SHARE,
            rng.choice(boring, shape),
            rng.uniform(-size, size, shape),
        )
        return chosen if seed else np.zeros(shape)

    return st.integers(0, 2**32 - 1).map(drawn)
