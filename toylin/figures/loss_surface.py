"""The loss surface of the deep scalar model, its critical points and meta-training trajectories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin.closed_form import outer_loss
from toylin.figures._loss_surface_panels import draw as draw
from toylin.landscape import solve_critical_points, surface
from toylin.rules import MAML
from toylin.tasks import LinearRegression
from toylin.training import ExactLoss, meta_train

STEPS = 3
SETTINGS: dict[str, Any] = {
    "depth": 2,
    "theta_mean": 0.0,
    "theta_cov": 1.0,
    "x_cov": 1.0,
    "noise_std": 0.0,
    "shots": None,
    "step_size": 0.1,
    "steps": 1,
    "extent": 3.7,
    "resolution": 301,
    "optimizer": "gradient descent",
    "learning_rate": 0.05,
    "num_steps": 60_000,
    "start_radii": [0.35, 2.3],
    "starts_per_radius": 16,
}
CAPTION = (
    "Loss surface and trajectories of MAML-trained deep linear models. Scalar linear regression, "
    "theta ~ N(0, 1), x ~ N(0, 1), one inner step of 0.1 on the population; the loss is the exact "
    "expectation after adaptation. Left and middle: two layers, f(x) = w2 w1 x. Meta-training by "
    "gradient descent (red) flows from every start to one of four minima, (0, +-sqrt(10)) and "
    "(+-sqrt(10), 0), where one inner step adapts exactly to every task. The origin is a maximum. "
    "Right: one layer, f(x) = w x, on the same loss scale: no initialisation gets below "
    "(1 - 0.1)^2 / 2 = 0.405, since the step size is not in the parameters."
)

_KEPT = 400  # points kept of each trajectory, evenly spaced along its length


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """The surface, the trajectories, the critical points and the shallow curve."""
    tasks = LinearRegression(
        theta_mean=SETTINGS["theta_mean"],
        theta_cov=SETTINGS["theta_cov"],
        x_cov=SETTINGS["x_cov"],
        noise_std=SETTINGS["noise_std"],
    )
    rule = MAML(SETTINGS["step_size"], SETTINGS["steps"])
    loss = ExactLoss(tasks, rule)
    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    extent = SETTINGS["extent"]
    plane = surface(loss, (zero, zero), ((one, zero), (zero, one)), extent, SETTINGS["resolution"])
    tick()
    paths = _trajectories(loss)
    tick()
    critical = solve_critical_points(tasks, rule)
    weights = np.linspace(-extent, extent, SETTINGS["resolution"])
    shallow = np.asarray(
        jax.vmap(lambda w: outer_loss((w,), tasks, rule))(weights.reshape(-1, 1, 1))
    )
    tick()
    return {
        "w1": np.asarray(plane.first),
        "w2": np.asarray(plane.second),
        "loss": np.asarray(plane.loss),
        "trajectories": paths,
        "trajectory_losses": np.asarray(
            jax.vmap(jax.vmap(lambda *w: loss(w)))(*np.split(paths[..., None], 2, axis=-2))
        ),
        "critical_points": critical.points,
        "critical_losses": critical.loss,
        "critical_eigenvalues": critical.eigenvalues,
        "critical_index": critical.index,
        "shallow_w": weights,
        "shallow_loss": shallow,
        "shallow_floor": np.min(shallow),
    }


def _trajectories(loss: ExactLoss) -> np.ndarray:
    """Gradient descent from two rings of starts, thinned evenly along each path."""
    import optax

    count = SETTINGS["starts_per_radius"]
    angle = 2 * np.pi * (np.arange(count) + 0.35) / count
    ring = np.stack([np.cos(angle), np.sin(angle)], -1)
    starts = jnp.asarray(np.concatenate([r * ring for r in SETTINGS["start_radii"]]))
    optimizer = optax.sgd(SETTINGS["learning_rate"])

    def one(start: jax.Array) -> jax.Array:
        params = (start[:1, None], start[1:, None])
        run = meta_train(loss, params, optimizer, SETTINGS["num_steps"], trajectory=True)
        path = jnp.concatenate([w[:, :, 0] for w in run.trajectory], axis=1)
        length = jnp.cumsum(jnp.linalg.norm(jnp.diff(path, axis=0), axis=1))
        wanted = jnp.linspace(0.0, length[-1], _KEPT)
        return path[jnp.searchsorted(length, wanted).clip(0, len(path) - 1)]

    return np.asarray(jax.jit(jax.vmap(one))(starts))
