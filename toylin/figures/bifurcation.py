"""How the critical points of the deep scalar model change with step size, mean, shots and noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toylin.landscape import CriticalPoints, find_bifurcations, solve_critical_points
from toylin.plotting import DEEP, PAGE, REFERENCE, SECOND, SHALLOW, new_figure, style
from toylin.rules import MAML
from toylin.tasks import LinearRegression

STEPS = 4
SETTINGS: dict[str, Any] = {
    "step_sizes": [0.02, 1.0, 121],
    "theta_means": [0.0, 2.0, 121],
    "shots": [*range(1, 13), 14, 16, 18, 20, 25, 30, 40, 60, 100, 200, 500, 1000],
    "noise_stds": [0.0, 3.0, 121],
    "noise_shots": 20,
    "step_size": 0.1,
    "tau": 1.0,
    "s": 1.0,
    "noise_std": 0.0,
}
CAPTION = (
    "Bifurcations of the loss surface of two scalar layers after one inner step: the loss at every "
    "critical point, each found as a root of a polynomial. Against the inner step size "
    "(population, mean 0), the mean of the tasks (population, step size 0.1), the number of shots "
    "(mean 0, step size 0.1), and the label noise (mean 0, step size 0.1, 20 shots; the loss above "
    "the noise of the query, sigma^2 / 2), which bends the surface without a bifurcation. Dotted "
    "lines mark bifurcations: at a fold points appear or vanish in "
    "pairs, at a pitchfork they split off a point that stays."
)
_PANELS = ("step_size", "theta_mean", "shots", "noise_std")
_LABELS = ("inner step size", "mean of the tasks", "shots", "label noise, at 20 shots")
_LOOK = {"minimum": (DEEP, "o"), "saddle": (REFERENCE, "x"), "maximum": (SECOND, "^")}


def _families() -> dict[str, tuple[np.ndarray, Callable[[float], CriticalPoints]]]:
    rule = MAML(SETTINGS["step_size"])
    sizes, means, noises = (SETTINGS[k] for k in ("step_sizes", "theta_means", "noise_stds"))
    return {
        "step_size": (
            np.geomspace(sizes[0], sizes[1], sizes[2]),
            lambda v: solve_critical_points(LinearRegression(), MAML(v)),
        ),
        "theta_mean": (
            np.linspace(means[0], means[1], means[2]),
            lambda v: solve_critical_points(LinearRegression(theta_mean=v), rule),
        ),
        "shots": (
            np.array(SETTINGS["shots"]),
            lambda v: solve_critical_points(LinearRegression(shots=int(v)), rule),
        ),
        "noise_std": (
            np.linspace(noises[0], noises[1], noises[2]),
            lambda v: solve_critical_points(
                LinearRegression(noise_std=v, shots=SETTINGS["noise_shots"]), rule
            ),
        ),
    }


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """Value, loss, distance from the origin and kind of every critical point, and bifurcations."""
    data: dict[str, np.ndarray] = {}
    for name, (values, points_at) in _families().items():
        found = [(v, points_at(v)) for v in values]
        data[f"{name}_value"] = np.concatenate([np.full(len(c.loss), v) for v, c in found])
        floor = 0.5 if name == "noise_std" else 0.0
        data[f"{name}_loss"] = np.concatenate([c.loss - floor * v**2 for v, c in found])
        data[f"{name}_norm"] = np.concatenate([np.linalg.norm(c.points, axis=1) for _, c in found])
        data[f"{name}_kind"] = np.concatenate([c.kind() for _, c in found])
        if name != "shots":
            changes = find_bifurcations(points_at, values.tolist())
            data[f"{name}_bifurcation"] = np.array([b.value for b in changes])
            data[f"{name}_name"] = np.array([b.kind for b in changes])
        tick()
    return data


def _panel(ax: Axes, name: str, label: str, data: Mapping[str, np.ndarray]) -> None:
    value, loss, kind = (data[f"{name}_{k}"] for k in ("value", "loss", "kind"))
    for each, (colour, marker) in _LOOK.items():
        here = kind == each
        size = 3.2 if name == "shots" else 1.6
        ax.plot(value[here], loss[here], marker, color=colour, markersize=size, label=each)
    for at, what in zip(
        data.get(f"{name}_bifurcation", ()), data.get(f"{name}_name", ()), strict=True
    ):
        ax.axvline(at, color=SHALLOW, linewidth=0.8, linestyle=":")
        ax.annotate(
            f" {what}",
            (at, 0.99),
            xycoords=("data", "axes fraction"),
            rotation=90,
            va="top",
            ha="right",
            fontsize=6.5,
        )
    ax.set(xlabel=label, xscale="linear" if name in ("theta_mean", "noise_std") else "log")


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """The loss at every critical point against each parameter."""
    with style():
        figure = new_figure(PAGE, 4.4)
        axes = figure.subplots(2, 2).ravel()
        for ax, name, label in zip(axes, _PANELS, _LABELS, strict=True):
            _panel(ax, name, label, data)
        for left in (axes[0], axes[2]):
            left.set_ylabel("loss at critical points")
        for ax in (axes[0], axes[2], axes[3]):
            ax.set_ylim(-0.08, 2.0)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, markerscale=2.0)
    return figure
