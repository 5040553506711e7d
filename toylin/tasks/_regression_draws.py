"""What a linear regression task shows, made of rows of uniform numbers (one column a task)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.quadrature import mean_square, normals, square_rows, wishart_root, wishart_rows
from toylin.tasks._covariance import Covariance, correlate, covariance_root
from toylin.tasks._regression_data import RegressionMoments, RegressionPoints

Rows = Float[Array, "rows tasks"]
Theta = Float[Array, "tasks dim"]


def moment_rows(points: int | None, dim: int) -> tuple[int, int]:
    """How many rows ``draw_moments`` takes: for the inputs and for their noise."""
    if points is None:
        return 0, 0
    if points < dim:
        return points * dim, points
    inputs = square_rows(points) if dim == 1 else wishart_rows(points, dim)
    return inputs, dim + (square_rows(points - dim) if points > dim else 0)


def draw_points(
    inputs: Rows, noise: Rows, theta: Theta, x_cov: Covariance, noise_std: float | Array
) -> RegressionPoints:
    """As many points as ``noise`` has rows."""
    (num, dim), points = theta.shape, len(noise)
    z = jnp.moveaxis(normals(jnp.concatenate([inputs, noise])), -1, 0)
    x = correlate(z[:, : points * dim].reshape(num, points, dim), x_cov, dim)
    y = jnp.einsum("tkd,td->tk", x, theta) + noise_std * z[:, points * dim :]
    return RegressionPoints(x=x, y=y)


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
    num, dim = theta.shape
    if points < dim:
        quiet = jnp.zeros((points, num), theta.dtype)
        sample = draw_points(inputs, quiet if noise is None else noise, theta, x_cov, noise_std)
        return jax.vmap(RegressionPoints.moments)(sample, theta)
    key_inputs, key_noise = (key, None) if key is None else jax.random.split(key)
    root = _root(inputs, points, dim, x_cov, key_inputs)
    xx = root @ jnp.swapaxes(root, -1, -2) if dim > 1 else root**2
    if noise is None:
        return RegressionMoments(xx, theta, jnp.zeros_like(theta), jnp.zeros_like(theta[:, 0]))
    # Of the K noises, d coordinates lie along the columns of X; the rest only add to ee.
    along = normals(noise[:dim])
    square = jnp.sum(along**2, 0)
    if points > dim:
        square += (points - dim) * mean_square(noise[dim:], points - dim, key_noise)
    return RegressionMoments(
        xx=xx,
        theta=theta,
        xe=noise_std / points**0.5 * jnp.einsum("tij,jt->ti", root, along),
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
