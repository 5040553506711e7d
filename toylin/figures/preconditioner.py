"""The preconditioner that depth induces, as meta-training shapes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from toylin.depth import imbalance, induced_preconditioner, step_departure
from toylin.limits import shallow_floor
from toylin.models import Params, end_to_end, init
from toylin.plotting import DEEP, PAGE, REFERENCE, SECOND, SHALLOW, new_figure, style
from toylin.rules import MAML
from toylin.tasks import LinearRegression
from toylin.training import ExactLoss, meta_train

STEPS = 3
SETTINGS: dict[str, Any] = {
    "widths": [2, 3, 1],
    "x_cov": [[1.0, 0.4], [0.4, 0.5]],
    "theta_cov": 1.0,
    "noise_std": 0.0,
    "shots": None,
    "step_size": 0.1,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "num_steps": 4000,
    "seed": 0,
    "shown": [0, 100, 400, 4000],
}
CAPTION = (
    "Depth learns the optimizer. Linear regression in two dimensions with correlated inputs, two "
    "layers of hidden width three, one inner step on the population; meta-trained with Adam on the "
    "exact loss. Left: one inner step multiplies the end-to-end gradient with alpha P, P = "
    "|W2|^2 I + W1'W1; its ellipse (red, darker is later) grows into that of the inverse input "
    "covariance (dashed), which is Newton's method: every task is learned in one step. A shallow "
    "model has the fixed circle alpha I (black). Middle: the loss, and the floor that no "
    "shallow start passes. Right: how far a finite step departs from the preconditioned one at the "
    "start and after meta-training, for the step sizes on the axis."
)


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """Meta-train, and look at the geometry along the way."""
    import optax

    tasks = LinearRegression(dim=2, x_cov=jnp.array(SETTINGS["x_cov"]))
    rule = MAML(SETTINGS["step_size"])
    start = init(jax.random.key(SETTINGS["seed"]), SETTINGS["widths"])
    run = meta_train(
        ExactLoss(tasks, rule),
        start,
        optax.adam(SETTINGS["learning_rate"]),
        SETTINGS["num_steps"],
        trajectory=True,
    )
    tick()
    preconditioners = jax.vmap(lambda p: induced_preconditioner(p, rule))(run.trajectory)
    balance = jax.vmap(imbalance)(run.trajectory)[:, 0]
    tick()
    sizes = np.geomspace(1e-4, 1.0, 41)
    gradients = jax.random.normal(jax.random.key(1), (200, 2)) @ jnp.array(SETTINGS["x_cov"])
    shown = [k for k in SETTINGS["shown"] if k < SETTINGS["num_steps"]]
    points: list[Params] = [jax.tree.map(lambda x, k=k: x[k], run.trajectory) for k in shown]
    points.append(run.params)

    def departures(params: Params) -> jax.Array:
        gradient = gradients + (end_to_end(params) @ jnp.array(SETTINGS["x_cov"]))[0]
        one = jax.vmap(step_departure, in_axes=(None, 0, None))
        return jax.vmap(lambda a: jnp.median(one(params, gradient, a)))(jnp.asarray(sizes))

    data = {
        "loss": run.loss,
        "imbalance": balance,
        "preconditioner": preconditioners[jnp.array(shown)],
        "final": induced_preconditioner(run.params, rule),
        "newton": jnp.linalg.inv(jnp.array(SETTINGS["x_cov"])),
        "shallow_floor": shallow_floor(tasks, rule),
        "step_sizes": sizes,
        "departure": jnp.stack([departures(p) for p in (points[0], points[-1])]),
    }
    tick()
    return {k: np.asarray(v) for k, v in data.items()}


def _ellipse(matrix: np.ndarray) -> np.ndarray:
    """Where ``matrix`` takes the unit circle."""
    angle = np.linspace(0, 2 * np.pi, 200)
    return matrix @ np.stack([np.cos(angle), np.sin(angle)])


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """Ellipses, the loss, and the departure of a finite step."""
    with style():
        figure = new_figure(PAGE, 2.5)
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
        matrices = [*data["preconditioner"], data["final"]]
        for k, matrix in enumerate(matrices):
            last = k == len(matrices) - 1
            shade = 0.25 + 0.75 * k / (len(matrices) - 1)
            name = "deep, trained" if last else "deep, start" if k == 0 else None
            left.plot(
                *_ellipse(matrix), color=DEEP, alpha=shade, linewidth=2.2 if last else 1, label=name
            )
        left.plot(*_ellipse(data["newton"]), "--", color=SECOND, label="Newton")
        circle = SETTINGS["step_size"] * np.eye(2)
        left.plot(*_ellipse(circle), color=SHALLOW, linewidth=2, label="shallow")
        left.set(
            aspect="equal", xlabel="input 1", ylabel="input 2", title="step for unit gradients"
        )
        left.legend(loc="upper right", bbox_to_anchor=(1.75, 1.0), handlelength=1.2)
        middle.semilogy(np.maximum(data["loss"], 1e-12), color=DEEP, label="deep")
        middle.axhline(float(data["shallow_floor"]), color=SHALLOW, label="shallow floor")
        middle.set(xlabel="meta-iteration", title="exact outer loss")
        middle.legend()
        right.loglog(data["step_sizes"], data["departure"][0], color=REFERENCE, label="start")
        right.loglog(data["step_sizes"], data["departure"][1], color=DEEP, label="trained")
        right.axvline(SETTINGS["step_size"], color=SHALLOW, linewidth=0.8, linestyle=":")
        right.set(xlabel="step size", title="departure from $\\alpha P$ (relative)")
        right.legend()
    return figure
