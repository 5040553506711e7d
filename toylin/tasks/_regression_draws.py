"""What a linear regression task shows, made of rows of uniform numbers (one column a task)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.tasks._covariance import Covariance, correlate, covariance_root
from toylin.tasks._draws import mean_square, normals, square_rows, wishart_root, wishart_rows
from toylin.tasks._regression_data import RegressionMoments, RegressionPoints

Rows = Float[Array, "rows tasks"]
Theta = Float[Array, "tasks dim"] | Float[Array, "tasks outputs dim"]


def point_rows(points: int, dim: int, outputs: int) -> tuple[int, int]:
    """How many rows ``draw_points`` takes: for the inputs and for their noise."""
    return points * dim, points * outputs


def moment_rows(points: int | None, dim: int, outputs: int) -> tuple[int, int]:
    """How many rows ``draw_moments`` takes: for the inputs and for their noise."""
    if points is None:
        return 0, 0
    if points < dim:
        return point_rows(points, dim, outputs)
    inputs = square_rows(points) if dim == 1 else wishart_rows(points, dim)
    rest = square_rows((points - dim) * outputs) if points > dim else 0
    return inputs, dim * outputs + rest


def draw_points(
    inputs: Rows, noise: Rows, theta: Theta, x_cov: Covariance, noise_std: float | Array
) -> RegressionPoints:
    """As many points as the rows are enough for."""
    num, *outputs, dim = theta.shape
    points = len(inputs) // dim
    z = jnp.moveaxis(normals(jnp.concatenate([inputs, noise])), -1, 0)
    x = correlate(z[:, : points * dim].reshape(num, points, dim), x_cov, dim)
    clean = jnp.einsum("tkd,tmd->tkm" if outputs else "tkd,td->tk", x, theta)
    noises = z[:, points * dim :].reshape(num, points, *outputs)
    return RegressionPoints(x=x, y=clean + noise_std * noises)


def draw_moments(
    inputs: Rows,
    noise: Rows | None,
    theta: Theta,
    points: int,
    x_cov: Covariance,
    noise_std: float | Array,
    key: PRNGKeyArray | None,
) -> RegressionMoments:
    """The moments of ``points`` points; ``noise`` is None where there is none."""
    num, *several, dim = theta.shape
    outputs = several[0] if several else 1
    if points < dim:
        quiet = jnp.zeros((points * outputs, num), theta.dtype)
        sample = draw_points(inputs, quiet if noise is None else noise, theta, x_cov, noise_std)
        return jax.vmap(RegressionPoints.moments)(sample, theta)
    key_inputs, key_noise = (key, None) if key is None else jax.random.split(key)
    root = _root(inputs, points, dim, x_cov, key_inputs)
    xx = root @ jnp.swapaxes(root, -1, -2) if dim > 1 else root**2
    if noise is None:
        return RegressionMoments(xx, theta, jnp.zeros_like(theta), jnp.zeros(num, theta.dtype))
    # Of an output's K noises, d coordinates lie along the columns of X; the rest only add to ee.
    along = normals(noise[: dim * outputs])
    square = jnp.sum(along**2, 0)
    if points > dim:
        rest = (points - dim) * outputs
        square += rest * mean_square(noise[dim * outputs :], rest, key_noise)
    along = along.reshape(*several, dim, num)
    return RegressionMoments(
        xx=xx,
        theta=theta,
        xe=noise_std
        / points**0.5
        * jnp.einsum("tij,mjt->tmi" if several else "tij,jt->ti", root, along),
        ee=jnp.asarray(noise_std, theta.dtype) ** 2 / points * square,
    )


def _root(
    u: Rows, points: int, dim: int, x_cov: Covariance, key: PRNGKeyArray | None
) -> Float[Array, "tasks dim dim"]:
    """A root of the second moment of the inputs."""
    if dim == 1:
        spread = jnp.asarray(x_cov, u.dtype).reshape(())
        return jnp.sqrt(spread * mean_square(u, points, key))[:, None, None]
    root = covariance_root(x_cov, dim, u.dtype) @ wishart_root(u, points, dim, key)
    return root / points**0.5
