"""Depth against inner step size: where MAML adapts, and where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from toylin.plotting import PAGE, SHALLOW, hatching_legend, new_figure, phase, scale_of, style
from toylin.tasks import LinearRegression

SETTINGS: dict[str, Any] = {
    "depths": [1, 2, 3, 4, 5, 6],
    "step_sizes": [-0.5, 2.5, 61],
    "shots": [None, 5],
    "noise_std": 0.1,
    "optimizer": "adam",
    "learning_rate": 0.02,
    "num_steps": 1000,
    "seeds": 9,
}
STEPS = 1
CAPTION = (
    "Where MAML adapts: the loss after one inner step, by depth and step size, meta-trained by "
    "Adam on the exact expected loss (scalar linear regression, theta ~ N(0, 1), x ~ N(0, 1), "
    "label noise 0.1; median of 9 random starts). Hatched: no better than not adapting at all. A "
    "single layer adapts well at one step size only, 1/Var(x) = 1 in the population, while deeper"
    " models learn to rescale the step over a wide range of positive ones. No depth turns a "
    "negative step, which climbs the support loss, into adaptation. With 5 shots, at the right, "
    "the deepest models have not got there from every start after 1000 iterations."
)


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """The median final loss at every number of shots, depth and step size."""
    from toylin.sweeps import sweep
    from toylin.training import Optimizer

    ds = sweep(
        LinearRegression(noise_std=SETTINGS["noise_std"]),
        over={
            "shots": SETTINGS["shots"],
            "depth": SETTINGS["depths"],
            "step_size": np.linspace(*SETTINGS["step_sizes"]),
        },
        optimizer=Optimizer(SETTINGS["optimizer"], SETTINGS["learning_rate"]),
        num_steps=SETTINGS["num_steps"],
        seeds=SETTINGS["seeds"],
    )
    tick()
    loss = ds.final_loss.where(~ds.diverged, np.inf)
    return {
        "shots": ds.shots.values,
        "depth": ds.depth.values,
        "step_size": ds.step_size.values,
        "final_loss": loss.reduce(np.median, "seed").values,
        "unadapted": np.asarray(0.5 + SETTINGS["noise_std"] ** 2 / 2),
        "noise_floor": np.asarray(SETTINGS["noise_std"] ** 2 / 2),
    }


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """A panel a number of shots."""
    floor, bar = float(data["noise_floor"]), float(data["unadapted"])
    with style():
        figure = new_figure(PAGE, 2.5)
        panels = figure.subplots(1, len(data["shots"]), sharey=True)
        across, up = scale_of(data["step_size"]), scale_of(data["depth"])
        for axes, shots, loss in zip(panels, data["shots"], data["final_loss"], strict=True):
            mesh = phase(axes, across, up, loss, floor, 2.0, bar)
            axes.axvline(0, color=SHALLOW, linewidth=0.8, linestyle=":")
            title = "population" if np.isinf(shots) else f"{shots:.0f} shots"
            axes.set(title=title, xlabel=r"inner step size $\alpha$", yticks=data["depth"])
        panels[0].set_ylabel("layers")
        bar_axes = figure.colorbar(mesh, ax=panels, pad=0.01, extend="max")
        bar_axes.set_label("loss after adaptation")
        ticks = [floor, 0.05, bar, 2.0]
        bar_axes.set_ticks(ticks, labels=["noise floor", "0.05", "no adaptation", "2"])
        bar_axes.minorticks_off()
        hatching_legend(figure)
    return figure
