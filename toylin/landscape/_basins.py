"""Which start reaches which minimum, and how fast."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from toylin._internal import checks
from toylin._internal.shapes import Array, Float, Int
from toylin._internal.showing import shown
from toylin.training._drawing import in_parts, takes_key
from toylin.training._drive import drive
from toylin.training._loop import Loop
from toylin.training._optimizer import check_optimizer


@shown
class Basins(NamedTuple):
    """Where meta-training from each start ends.

    Attributes:
        target: the index of the first minimum that was reached; -1 for none in time.
        iterations: how many iterations that took; ``num_steps`` for none.
        end: the point that reached it, or the last one.
        starts: what was asked: the starts,
        minima: and the targets.
    """

    target: Int[Array, " starts"]
    iterations: Int[Array, " starts"]
    end: Float[Array, "starts variables"]
    starts: Float[Array, "starts variables"]
    minima: Float[Array, "minima variables"]

    def plot(self, ax: Any = None) -> Any:
        """Draw the starts of two variables, coloured by the minimum that they reach.

        Pale is fast and dark is slow, on a logarithmic scale; grey has reached none (a legend
        says so on new axes). Starts on a grid are drawn as cells, others as dots, minima as stars.

        Args:
            ax: matplotlib axes to draw on; new ones if None.

        Returns:
            The axes.

        Raises:
            ValueError: starts of another number of variables.
        """
        from toylin import plotting

        checks.two_variables("starts", self.starts)
        with plotting.drawing(ax, size=(4.2, 3.9)) as axes:
            plotting.basin_map(axes, self.starts, self.target, self.iterations, self.minima)
            plotting.critical_points(axes, self.minima, ["minimum"] * len(self.minima))
            axes.set(xlabel="$w_1$", ylabel="$w_2$")
            if ax is None:
                axes.figure.legend(loc="outside lower center", ncols=2)
        return axes


def basins(
    loss: Callable[[Array], Array],
    starts: ArrayLike,
    minima: ArrayLike,
    optimizer: Any,
    num_steps: int,
    radius: float = 1e-2,
) -> Basins:
    """Follow meta-training from every start until it comes within ``radius`` of a minimum.

    All starts go side by side through the loop of ``meta_train``, until the last has arrived.

    Args:
        loss: a smooth function of a vector.
        starts: shape (starts, variables).
        minima: the points to come near, shape (minima, variables).
        optimizer: an ``optax.GradientTransformation``.
        num_steps: the longest training.
        radius: how near counts as reached.

    Raises:
        ValueError: shapes that disagree, no positive number of steps, a radius of zero, or a loss
            that samples.
    """
    checks.integer("num_steps", num_steps, minimum=1)
    starts, minima = _floats("starts", starts), _floats("minima", minima)
    if starts.ndim != 2 or minima.ndim != 2 or starts.shape[1] != minima.shape[1]:
        raise ValueError(
            "starts and minima must be rows of equally many variables, got shapes "
            f"{starts.shape} and {minima.shape}"
        )
    if not starts.size or not minima.size:
        empty = "minima" if starts.size else "starts"
        raise ValueError(f"{empty} must hold at least one point, got none")
    checks.positive("radius", radius)
    if takes_key(loss):
        raise ValueError("loss must be a function of a vector alone, got one that samples")
    check_optimizer(optimizer)
    count = len(starts)
    first = _Arrival(
        jnp.full(count, -1, jnp.int32),
        jnp.full(count, num_steps, jnp.int32),
        starts,
        jnp.broadcast_to(minima, (count, *minima.shape)),
        jnp.full(count, float(radius), starts.dtype),
    )
    # The iteration after the last sees where the last update led.
    loop = Loop(optimizer, num_steps + 1, None, False, _arrive)
    carry, done = drive(
        loop, in_parts(loss, starts[0]), starts, None, first, mapped=True, finished=_all_there
    )
    arrival: _Arrival = carry.observed
    if done <= num_steps and not _all_there(arrival):
        warnings.warn(f"interrupted: {done:,} of {num_steps:,} iterations were done", stacklevel=2)
    return Basins(arrival.target, arrival.iterations, arrival.end, starts, minima)


def _floats(name: str, points: ArrayLike) -> Array:
    checks.real(name, points)
    array = jnp.asarray(checks.numbers(name, points))
    return array.astype(jnp.result_type(array, float))


class _Arrival(NamedTuple):
    """Where one run is, or has arrived, and what it heads for."""

    target: Array
    iterations: Array
    end: Array
    goals: Array
    radius: Array


def _arrive(state: _Arrival, i: Array, point: Array, _value: Array, _norm: Array) -> _Arrival:
    # In radii, so that squares of what is not near do not leave the range of floats to zero.
    distance = jnp.linalg.norm((point - state.goals) / state.radius, axis=-1)
    near = jnp.where(distance.min() < 1.0, distance.argmin(), -1).astype(jnp.int32)
    there = state.target >= 0
    return state._replace(
        target=jnp.where(there, state.target, near),
        iterations=jnp.where(there | (near < 0), state.iterations, i),
        end=jnp.where(there, state.end, point),
    )


def _all_there(state: _Arrival) -> bool:
    return bool(np.all(np.asarray(state.target) >= 0))
