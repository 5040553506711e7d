"""One to six layers: what depth does when the inner step is too small, right and too large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toylin.figures._held import HeldLoss, held_maml
from toylin.limits import bayes_loss
from toylin.models import init
from toylin.plotting import PAGE, REFERENCE, SECOND, THIRD, depth_colours, new_figure, style
from toylin.tasks import LinearRegression
from toylin.training import ExactLoss, meta_train

SETTINGS: dict[str, Any] = {
    "depths": [1, 2, 3, 4, 5, 6],
    "step_sizes": {"far too small": 0.01, "right": 1.0, "too large": 4.0},
    "theta_mean": 0.0,
    "theta_cov": 1.0,
    "x_cov": 1.0,
    "noise_std": 0.1,
    "shots": None,
    "steps": 1,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "num_steps": 1500,
    "init_scale": 1.0,
    "seeds": 20,
    "seed": 0,
}
STEPS = 2
CAPTION = (
    "Depth against inner step size. Scalar linear regression, theta ~ N(0, 1), x ~ N(0, 1), label "
    "noise 0.1, one inner step on the population; meta-training by Adam on the exact expected "
    "loss; median of 20 random starts. A single layer adapts exactly at the step size 1/Var(x) = 1 "
    "only: below it the step is too short, above it the step overshoots, and no start helps. More "
    "layers learn to rescale the step and reach the noise floor (dashed): the sooner, the deeper, "
    "where it is far too small; but where it is too large two layers do it at once, three slowly, "
    "and most random starts of four or more have not got there after 1500 iterations. Right: the "
    "loss after them, median and quartiles."
)

_KEPT = 150
_LOWEST = 3e-3


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """The loss of every depth, step size and seed along meta-training."""
    import optax

    tasks = LinearRegression(
        theta_mean=SETTINGS["theta_mean"],
        theta_cov=SETTINGS["theta_cov"],
        x_cov=SETTINGS["x_cov"],
        noise_std=SETTINGS["noise_std"],
    )
    optimizer = optax.adam(SETTINGS["learning_rate"])
    step_sizes = np.array(list(SETTINGS["step_sizes"].values()))
    keys = jax.random.split(jax.random.key(SETTINGS["seed"]), SETTINGS["seeds"])
    deepest = max(SETTINGS["depths"])

    def run(depth: jax.Array, step_size: jax.Array, seed: jax.Array) -> jax.Array:
        # All depths by one program: the first layers of the deepest, the others held.
        start = init(keys[seed], (1,) * (deepest + 1), SETTINGS["init_scale"])
        free = tuple(layer < depth for layer in range(deepest))
        loss = ExactLoss(tasks, held_maml(step_size, SETTINGS["steps"], free))
        return meta_train(HeldLoss(loss, free), start, optimizer, SETTINGS["num_steps"]).loss

    # One axis of runs: a loop is traced anew for every axis that it is mapped over.
    shape = len(SETTINGS["depths"]), len(step_sizes), len(keys)
    depth, step_size, seeds = (index.ravel() for index in np.indices(shape))
    runs = np.array(SETTINGS["depths"])[depth], step_sizes[step_size], seeds
    tick()
    loss = np.asarray(jax.jit(jax.vmap(run))(*runs)).reshape(*shape, -1)
    tick()
    at = np.unique(np.linspace(0, SETTINGS["num_steps"] - 1, _KEPT).astype(int))
    return {
        "depth": np.array(SETTINGS["depths"]),
        "step_size": step_sizes,
        "iteration": at,
        "loss": loss[..., at],
        "final_loss": loss[..., -1],
        "bayes": np.asarray(bayes_loss(tasks)),
    }


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """Curves for three step sizes, and the final loss against depth."""
    with style():
        figure = new_figure(PAGE, 2.3)
        panels = figure.subplots(1, 4, sharey=True, width_ratios=[1, 1, 1, 1.15])
        for i, (axes, name) in enumerate(zip(panels, SETTINGS["step_sizes"], strict=False)):
            _curves(axes, data, i, name)
        _final(panels[3], data)
        panels[0].set_ylabel("post-adaptation loss")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=6, title="layers",
                      columnspacing=1.2, handlelength=1.6)  # fmt: skip
        handles, labels = panels[3].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower right", ncols=3, title="inner step",
                      columnspacing=1.0, handlelength=1.6)  # fmt: skip
    return figure


def _curves(axes: Axes, data: Mapping[str, np.ndarray], i: int, name: str) -> None:
    for depth, colour, loss in zip(
        data["depth"], depth_colours(data["depth"]), data["loss"][:, i], strict=True
    ):
        axes.semilogy(data["iteration"], np.median(loss, 0), color=colour, label=str(depth))
    _floor(axes, data)
    axes.set(
        ylim=(_LOWEST, 12),
        xlim=(0, data["iteration"][-1]),
        xticks=[0, 500, 1000, 1500],
        xlabel="meta-iteration",
        title=rf"{name}, $\alpha={data['step_size'][i]:g}$",
    )


def _final(axes: Axes, data: Mapping[str, np.ndarray]) -> None:
    styles = ((SECOND, "v"), (REFERENCE, "o"), (THIRD, "^"))
    for i, (name, (colour, marker)) in enumerate(zip(SETTINGS["step_sizes"], styles, strict=True)):
        low, middle, high = np.quantile(data["final_loss"][:, i], [0.25, 0.5, 0.75], axis=-1)
        axes.errorbar(
            data["depth"] + 0.12 * (i - 1),
            middle,
            (middle - low, high - middle),
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1,
            label=name,
        )
    _floor(axes, data)
    axes.set(xticks=data["depth"], xlabel="layers", title="after meta-training")


def _floor(axes: Axes, data: Mapping[str, np.ndarray]) -> None:
    axes.axhline(float(data["bayes"]), color=REFERENCE, linestyle="--", linewidth=0.9, zorder=0)
