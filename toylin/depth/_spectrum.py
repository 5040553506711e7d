"""Several outputs on K points, in the frame where every preconditioner costs an entry at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toylin._internal.tracing import has_tracers
from toylin.tasks import Covariance, LinearRegression


class Spectrum(NamedTuple):
    """The problem of ``best_preconditioner`` in a frame U kron F.

    R = U diag(rows) U'; F' Sigma F = I and Lambda = F diag(columns) F'; the largest come first.
    What a preconditioner (U kron F) E (U kron F)' loses beyond the best one is half the sum over i,
    j and k, n of weight[k, n] (E - diag(best))²[ij, kn].
    """

    basis: np.ndarray  # U, shape (outputs, outputs)
    frame: np.ndarray  # F, shape (dim, dim)
    identity: np.ndarray  # F^-1 F'^-1: what the identity is in that frame
    rows: np.ndarray
    columns: np.ndarray
    weight: np.ndarray  # shape (outputs, dim)
    best: np.ndarray
    loss: float  # of the best, with the label noise
    unadapted: float  # the loss before a step, likewise; never zero

    def excess(self, diagonal: np.ndarray) -> float:
        """What a preconditioner that is diagonal in the frame, shape (outputs, dim), loses."""
        return 0.5 * float(np.sum(self.weight * (diagonal - self.best) ** 2))


def spectrum(tasks: LinearRegression) -> Spectrum:
    """The frame, what moves in it and what that costs.

    Raises:
        ValueError: values that are traced.
    """
    if has_tracers(tasks):
        raise ValueError("tasks must hold concrete numbers here, not ones traced by jit or grad")
    sigma, prior = (_matrix(cov, tasks.dim) for cov in (tasks.x_cov, tasks.theta_cov))
    root = np.linalg.cholesky(sigma)
    columns, axes = np.linalg.eigh(root.T @ prior @ root)
    between = 1.0 if tasks.output_cov is None else tasks.output_cov
    rows, basis = np.linalg.eigh(_matrix(between, tasks.outputs))
    columns = np.maximum(columns, 0.0)  # of a Lambda of lower rank, to rounding
    columns, axes, rows, basis = columns[::-1], axes[:, ::-1], rows[::-1], basis[:, ::-1]
    inverse_shots = 0.0 if tasks.shots is None else 1 / tasks.shots
    noise = float(tasks.noise_std) ** 2
    spread = (rows * columns.sum() + noise) * inverse_shots
    signal = np.outer(rows, columns)
    weight = (1 + inverse_shots) * signal + spread[:, None]
    # The population of tasks that do not vary there: any step will do, and most take all of it.
    idle = weight == 0
    weight = np.where(idle, np.finfo(float).eps * weight.max(), weight)
    best = np.where(idle, 1.0, signal / weight)
    loss = 0.5 * (np.sum(signal * (1 - best)) + tasks.outputs * noise)
    unadapted = 0.5 * (np.sum(signal) + tasks.outputs * noise)
    frame = np.linalg.solve(root.T, axes)
    identity = axes.T @ root.T @ root @ axes
    return Spectrum(
        basis, frame, identity, rows, columns, weight, best, float(loss), float(unadapted)
    )


def _matrix(cov: Covariance, size: int) -> np.ndarray:
    """In double precision, whatever JAX computes in."""
    array = np.asarray(cov, float)
    return array * np.eye(size) if array.ndim == 0 else array
