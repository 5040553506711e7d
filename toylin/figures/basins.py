"""Basins of attraction of meta-training: which start reaches which minimum, and how fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from toylin.landscape import basins, exact_polynomial, solve_critical_points
from toylin.plotting import PAGE, basin_bar, basin_map, new_figure, style
from toylin.rules import MAML
from toylin.tasks import LinearRegression

STEPS = 2
SETTINGS: dict[str, Any] = {
    "theta_means": [0.0, 0.5],
    "step_size": 0.1,
    "extent": 4.0,
    "resolution": 160,
    "optimizer": "adam",
    "learning_rate": 0.02,
    "radius": 0.05,
    "num_steps": 6_000,
}
CAPTION = (
    "Basins of attraction of meta-training. Two scalar layers, f(x) = w2 w1 x, population, "
    "sigma = 0, tau = s = 1, one inner step of 0.1, Adam with learning rate 0.02 on the exact loss "
    "from a grid of starts. Colours: the minimum that is reached; darker is slower (logarithmic, "
    "iterations until within 0.05 of it); grey: not there after 6000. Dots are minima, crosses "
    "saddles, circles maxima, all found as roots of polynomials. Left: tasks of mean zero. Right: "
    "tasks of mean 0.5."
)
_MARKERS = {"minimum": ("o", "full"), "saddle": ("x", "full"), "maximum": ("o", "none")}


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """The minimum reached and the iterations taken, for every start; the critical points."""
    import optax

    # An even number of points keeps the grid off the boundaries, where rounding would decide.
    axis = np.linspace(-SETTINGS["extent"], SETTINGS["extent"], SETTINGS["resolution"])
    starts = _grid(axis)
    data: dict[str, np.ndarray] = {"axis": axis}
    rule, optimizer = MAML(SETTINGS["step_size"]), optax.adam(SETTINGS["learning_rate"])
    for k, mean in enumerate(SETTINGS["theta_means"]):
        tasks = LinearRegression(theta_mean=mean)
        points = solve_critical_points(tasks, rule)
        coefficients = [jnp.asarray(a[::-1]) for a in exact_polynomial(tasks, rule).coefficients()]

        def loss(w: jnp.ndarray, coefficients: list[jnp.ndarray] = coefficients) -> jnp.ndarray:
            a0, a1, a2 = (jnp.polyval(c, w[0] * w[1]) for c in coefficients)
            q = w @ w
            return a0 + a1 * q + a2 * q**2

        minima = points.points[points.index == 0]
        found = basins(loss, starts, minima, optimizer, SETTINGS["num_steps"], SETTINGS["radius"])
        shape = (len(axis), len(axis))
        data[f"target_{k}"] = np.asarray(found.target).reshape(shape)
        data[f"iterations_{k}"] = np.asarray(found.iterations).reshape(shape)
        data[f"points_{k}"] = points.points
        data[f"kind_{k}"] = np.array(points.kind())
        tick()
    return data


def _grid(axis: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)


def _map(ax: Axes, data: Mapping[str, np.ndarray], k: int, norm: LogNorm) -> None:
    """One map, with the critical points on it."""
    reach = SETTINGS["extent"]
    points, kind = data[f"points_{k}"], data[f"kind_{k}"]
    target, times = data[f"target_{k}"].ravel(), data[f"iterations_{k}"].ravel()
    basin_map(ax, _grid(data["axis"]), target, times, points[kind == "minimum"], norm)
    for name, (marker, fill) in _MARKERS.items():
        ax.plot(
            *points[kind == name].T,
            linestyle="none",
            marker=marker,
            fillstyle=fill,
            color="black",
            markersize=4.5,
            markeredgewidth=1.1,
            label=name,
        )
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="$w_1$", aspect="equal")
    ax.set_title(f"tasks of mean {SETTINGS['theta_means'][k]:g}")


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """Two maps, coloured by minimum and shaded by time."""
    with style():
        figure = new_figure(PAGE, 3.7)
        axes = figure.subplots(1, 2, sharey=True)
        times = np.concatenate([data[f"iterations_{k}"].ravel() for k in range(2)])
        norm = LogNorm(max(1, np.quantile(times, 0.005)), np.quantile(times, 0.995), clip=True)
        for k, ax in enumerate(axes):
            _map(ax, data, k, norm)
        axes[0].set_ylabel("$w_2$")
        number = np.sum(data["kind_0"] == "minimum")
        basin_bar(figure, axes, norm, number, "iterations to the minimum")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure
