"""How the critical points of the deep scalar model change with step size, shots and mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from toylin.landscape import CriticalPoints, find_bifurcations, solve_critical_points
from toylin.plotting import DEEP, PAGE, REFERENCE, SECOND, SHALLOW, new_figure, style
from toylin.rules import MAML
from toylin.tasks import LinearRegression

STEPS = 3
SETTINGS: dict[str, Any] = {
    "step_sizes": [0.02, 1.0, 121],
    "shots": [*range(1, 21), 25, 30, 40, 60, 100, 200, 500, 1000],
    "theta_means": [0.0, 2.0, 121],
    "step_size": 0.1,
    "tau": 1.0,
    "s": 1.0,
    "noise_std": 0.0,
}
CAPTION = (
    "The minima outlive what surrounds them. The loss at every critical point of two scalar layers "
    "after one inner step, each found as a root of a polynomial; points of one loss lie on each "
    "other. Left: as the inner step grows (population, mean 0), the outer maxima and saddles meet "
    "and vanish in a fold. Middle: with few shots (mean 0, step 0.1) they are gone too; the fold "
    "is between the numbers of shots beside the dotted line. Right: as the mean of the tasks "
    "leaves 0 (population, step 0.1), the inner maximum becomes a saddle in a pitchfork; beyond a "
    "fold there is a second minimum, of a far higher loss."
)
_PANELS = {
    "step_size": "inner step size",
    "shots": "shots",
    "theta_mean": "mean of the tasks",
}
_LOOK: dict[str, dict[str, Any]] = {
    "saddle": {"color": REFERENCE, "linewidth": 1.0},
    "maximum": {"color": SECOND, "linewidth": 1.2, "linestyle": (0, (4, 2))},
    "minimum": {"color": DEEP, "linewidth": 2.0},
}
_TOP = 2.6


def _families() -> dict[str, tuple[np.ndarray, Callable[[float], CriticalPoints]]]:
    rule = MAML(SETTINGS["step_size"])
    sizes, means = (SETTINGS[k] for k in ("step_sizes", "theta_means"))
    return {
        "step_size": (
            np.geomspace(*sizes),
            lambda v: solve_critical_points(LinearRegression(), MAML(v)),
        ),
        "shots": (
            np.array(SETTINGS["shots"]),
            lambda v: solve_critical_points(LinearRegression(shots=int(v)), rule),
        ),
        "theta_mean": (
            np.linspace(*means),
            lambda v: solve_critical_points(LinearRegression(theta_mean=v), rule),
        ),
    }


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """Value, loss and kind of every critical point, and bifurcations."""
    data: dict[str, np.ndarray] = {}
    for name, (values, points_at) in _families().items():
        found = [points_at(v) for v in values]
        data[f"{name}_value"] = np.repeat(values, [len(c.loss) for c in found])
        data[f"{name}_loss"] = np.concatenate([c.loss for c in found])
        data[f"{name}_kind"] = np.concatenate([c.kind() for c in found])
        if name == "shots":
            data |= _changes(values, found)
        else:
            bifurcations = find_bifurcations(points_at, values.tolist())
            data[f"{name}_bifurcation"] = np.array([b.value for b in bifurcations])
            data[f"{name}_name"] = np.array([b.kind for b in bifurcations])
        tick()
    return data


def _changes(shots: np.ndarray, found: list[CriticalPoints]) -> dict[str, np.ndarray]:
    """Between which numbers of shots the number of points changes: where points meet in pairs."""
    counts = np.array([len(c.loss) for c in found])
    (last,) = np.nonzero(np.diff(counts))
    return {
        "shots_bifurcation": (shots[last] + shots[last + 1]) / 2,
        "shots_name": np.array([f"fold, {shots[i]}-{shots[i + 1]}" for i in last]),
    }


def _branches(value: np.ndarray, loss: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The points of one kind as lines, by rank, where as many stand at neighbouring values."""
    values, first, counts = np.unique(value, return_index=True, return_counts=True)
    rows = [np.sort(loss[i : i + n]) for i, n in zip(first, counts, strict=True)]
    edges = [0, *(np.flatnonzero(np.diff(counts)) + 1), len(values)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield values[start:stop], np.array(rows[start:stop])


def _panel(ax: Axes, name: str, label: str, data: Mapping[str, np.ndarray]) -> None:
    value, loss, kind = (data[f"{name}_{k}"] for k in ("value", "loss", "kind"))
    for each, look in _LOOK.items():
        here = kind == each
        marker: dict[str, Any] = {"marker": "o", "markersize": 2.0} if name == "shots" else {}
        for at, losses in _branches(value[here], loss[here]):
            ax.plot(at, losses, **look, **marker)
    names = zip(data[f"{name}_bifurcation"], data[f"{name}_name"], strict=True)
    for at, what in names:
        ax.axvline(at, color=SHALLOW, linewidth=0.8, linestyle=":")
        words: dict[str, Any] = {"rotation": 90, "va": "top", "ha": "right", "fontsize": 6.5}
        ax.annotate(f" {what}", (at, 0.99), xycoords=("data", "axes fraction"), **words)
    ax.set(xlabel=label, xscale="linear" if name == "theta_mean" else "log", ylim=(-0.08, _TOP))


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """The loss at every critical point against each parameter."""
    with style():
        figure = new_figure(PAGE, 2.5)
        axes = figure.subplots(1, len(_PANELS), sharey=True)
        for ax, (name, label) in zip(axes, _PANELS.items(), strict=True):
            _panel(ax, name, label, data)
        axes[0].set_ylabel("loss at critical points")
        handles = [Line2D([], [], label=kind, **look) for kind, look in _LOOK.items()]
        figure.legend(handles=handles[::-1], loc="outside upper center", ncols=3)
    return figure
