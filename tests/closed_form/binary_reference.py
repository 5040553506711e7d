"""The binary outer loss by trapezoidal sums in NumPy: no node, table or formula of the package.

Softplus and its derivatives are summed over the margin, tasks over a uniform grid of the mean along
the first layer and of a double-exponential variable across. All is analytic in the parameters, so
that a complex step gives derivatives to rounding.
"""

from __future__ import annotations

import math

import numpy as np


def _softplus(t):
    return np.where(t.real > 0, t, 0) + np.log1p(np.exp(np.where(t.real > 0, -t, t)))


def _sigmoid(t):
    small = np.exp(np.where(t.real > 0, -t, t))
    return np.where(t.real > 0, 1, small) / (1 + small)


def _gaussian(function, mean, std):
    """E function(mean + std u): the poles at distance pi / std leave 1e-11 of the step's error."""
    step = min(0.25, 0.75 / max(float(np.max(np.abs(std))), 1e-9))
    total = 0.0
    for u in np.arange(-math.ceil(8.5 / step), math.ceil(8.5 / step) + 1) * step:
        total = total + function(mean + std * u) * np.exp(-(u**2) / 2)
    return total * step / math.sqrt(2 * math.pi)


def task_loss(x, steps, z, r):
    """The adapted loss of tasks with mean (z, r) times mean_std, the first layer along (1, 0)."""
    first, *above, mean_std, cov, step_size = x
    u, v = first + 0j * z, 0j * z
    above = [a + 0j * z for a in above]
    m, n = mean_std * z, mean_std * r
    for _ in range(steps):
        product = np.prod([np.ones_like(u), *above], axis=0)
        w = product * u, product * v
        mean, std = -(w[0] * m + w[1] * n), np.sqrt(cov * (w[0] ** 2 + w[1] ** 2))
        a = _gaussian(_sigmoid, mean, std)
        b = _gaussian(lambda t: _sigmoid(t) * _sigmoid(-t), mean, std)
        g = b * cov * w[0] - a * m, b * cov * w[1] - a * n
        along = g[0] * u + g[1] * v
        others = [
            np.prod([np.ones_like(u), *above[:i], *above[i + 1 :]], axis=0)
            for i in range(len(above))
        ]
        u, v = u - step_size * product * g[0], v - step_size * product * g[1]
        above = [a - step_size * o * along for a, o in zip(above, others, strict=True)]
    product = np.prod([np.ones_like(u), *above], axis=0)
    w = product * u, product * v
    return _gaussian(_softplus, -(w[0] * m + w[1] * n), np.sqrt(cov * (w[0] ** 2 + w[1] ** 2)))


def tasks_grid(dim, points):
    """z, r and weights: 2 points + 1 of z and, for dim > 1, as many of r = exp(s - exp(-s))."""
    z = np.arange(-points, points + 1) * (8.5 / points)
    z_weight = np.exp(-(z**2) / 2) * (8.5 / points) / math.sqrt(2 * math.pi)
    if dim == 1:
        return z, np.zeros_like(z), z_weight
    top = math.log(math.sqrt(dim) + 8.5)
    s = np.linspace(-4.0, top, 2 * points + 1)
    r = np.exp(s - np.exp(-s))
    norm = 2 ** ((dim - 3) / 2) * math.gamma((dim - 1) / 2)
    r_weight = r ** (dim - 1) * (1 + np.exp(-s)) * np.exp(-(r**2) / 2) / norm * (s[1] - s[0])
    grid = np.meshgrid(z, r, indexing="ij")
    return grid[0].ravel(), grid[1].ravel(), np.outer(z_weight, r_weight).ravel()


def loss_and_slope(x, direction, dim, steps, points=60):
    """The outer loss, and its derivative along ``direction`` in x.

    x holds |W_1|, the weights above, mean_std, x_cov and the step size.
    """
    z, r, weight = tasks_grid(dim, points)
    moved = np.array(x) + 1e-30j * np.array(direction)
    value = weight @ task_loss(moved, steps, z, r)
    return value.real, value.imag / 1e-30
