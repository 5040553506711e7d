"""The expectation over the tasks of a binary population, and its derivatives, in two dimensions.

By symmetry a first layer u enters through its length, so that it is enough to know tasks with class
mean mean_std (z, r): z ~ N(0, 1) along u, and r the norm of the other d - 1 coordinates, which are
independent and N(0, 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.shapes import Array, Float
from toylin.models import Params
from toylin.quadrature import Integral, integrate
from toylin.rules import MAML, Rule
from toylin.tasks import Batch, BinaryClassification

OnBatch = Callable[[Params, Batch, Rule], Any]

TOLERANCE = 1e-10
MAX_RECTANGLES = 600
_Z_EDGES = np.array([0.0, 3.0, 6.0, 12.0])


class Problem(NamedTuple):
    """What is integrated, as far as it is known when compiling.

    ``on_batch`` gives the loss, or loss and gradient. All else is in a vector: |u|, the weights
    above, mean_std, x_cov and the step size.
    """

    on_batch: OnBatch
    dim: int
    steps: int
    first_order: bool


def tolerance(dtype: np.dtype) -> float:
    """The relative accuracy of an integral in that precision."""
    return max(TOLERANCE, 100 * float(jnp.finfo(dtype).eps))


def _at_task(problem: Problem, x: Array, z: Array, r: Array) -> Float[Array, " *outputs"]:
    """``on_batch`` of the one task with class mean (z, r) times mean_std; a loss comes last."""
    dim = problem.dim
    norm, *weights, mean_std, cov, step_size = x
    first = jnp.zeros((1, dim), x.dtype).at[0, 0].set(norm)
    params = (first, *(w.reshape(1, 1) for w in weights))
    mean = mean_std * jnp.stack([z, r])[None, :dim]
    data = BinaryClassification(dim=dim, x_cov=cov).population(mean)
    rule = MAML(step_size, problem.steps, problem.first_order)
    value = problem.on_batch(params, Batch(data, data, mean), rule)
    if not isinstance(value, tuple):
        return value
    loss, grads = value
    return jnp.stack([*(w[0, 0] for w in grads), loss])


class Radius(NamedTuple):
    """The law of r, of density exp(power log r - r²/2 - log_norm), and rectangles to begin with.

    Dimensions that share the number of edges share a program.
    """

    power: np.ndarray
    log_norm: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, dim: int, dtype: np.dtype) -> Radius:
        """In ``dim`` dimensions; in one r has no effect, and any law will do."""
        k = max(dim - 1, 1)
        log_norm = (k / 2 - 1) * math.log(2) + math.lgamma(k / 2)
        mode = math.sqrt(max(k - 0.5, 0.5))
        inner = [edge for edge in mode + np.array([-4.0, -1.5, 1.5, 4.0]) if edge > 0.5]
        edges = [0.0, *inner, mode + 12.0]
        return cls(*(np.asarray(a, dtype) for a in (k - 1, log_norm, edges)))

    def density(self, r: Array) -> Array:
        """To relative rounding."""
        return jnp.exp(self.power * jnp.log(r) - r**2 / 2 - self.log_norm)


@partial(jax.jit, static_argnums=(0, 1))
def _expectation(
    problem: Problem, order: int, x: Float[Array, " entries"], radius: Radius
) -> Integral:
    """The mean over tasks of ``on_batch``, differentiated ``order`` times in ``x``.

    The integrand's features, the boundaries between classes, are no narrower than sqrt(x_cov) /
    mean_std, and meet at 0: nodes are placed by asinh of z and r in that unit. Those at z and -z go
    together, so that the result keeps the parity in |u| to rounding.
    """
    function: Callable[..., Array] = partial(_at_task, problem)
    for _ in range(order):
        function = jax.jacfwd(function)
    at_tasks = jax.vmap(function, (None, 0, 0))
    mean_std, cov = x[-3], x[-2]
    unit = jnp.sqrt(cov) / jnp.maximum(mean_std, jnp.sqrt(cov))

    def weighted(s: Array, t: Array) -> tuple[Array, Array]:
        z, r = unit * jnp.sinh(s), unit * jnp.sinh(t)
        slope = unit**2 * jnp.cosh(s)[:, None] * jnp.cosh(t)
        weight = (
            slope * (jnp.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))[:, None] * radius.density(r)
        )
        z_grid, r_grid = jnp.meshgrid(jnp.concatenate([z, -z]), r, indexing="ij")
        both = at_tasks(x, z_grid.ravel(), r_grid.ravel())
        both = both.reshape(2, *weight.shape, *both.shape[1:])
        weight = weight.reshape(*weight.shape, *[1] * (both.ndim - 3))
        return weight * jnp.sum(both, 0), weight * jnp.sum(jnp.abs(both), 0)

    z_edges, r_edges = (
        jnp.arcsinh(jnp.asarray(edges, x.dtype) / unit) for edges in (_Z_EDGES, radius.edges)
    )
    return integrate(weighted, z_edges, r_edges, tolerance(x.dtype), MAX_RECTANGLES)


def expectation(problem: Problem, order: int, x: Float[Array, " entries"]) -> Integral:
    """The mean over tasks of ``on_batch``, differentiated ``order`` times in ``x``."""
    radius = Radius.of(problem.dim, x.dtype)
    return _expectation(problem._replace(dim=min(problem.dim, 2)), order, x, radius)
