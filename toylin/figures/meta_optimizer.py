"""Upper layers do what a learned meta-optimizer does: shallow + Meta-KFO against deep + MAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from toylin.depth import angle, best_preconditioner, induced_preconditioner
from toylin.figures._style import DEEP, PAGE, REFERENCE, SECOND, SHALLOW, THIRD, new_figure, style
from toylin.models import Params, add_linear_layers
from toylin.rules import MAML, MetaKFO, MetaSGD, Rule
from toylin.tasks import BinaryClassification, LinearRegression
from toylin.training import ExactLoss, Run, joint, meta_train, sampled_loss

SETTINGS: dict[str, Any] = {
    "dim": 4,
    "x_variances": [2.0, 1.0, 0.5, 0.1],
    "axes_seed": 0,
    "theta_mean": 0.5,
    "mean_std": 1.0,
    "shots": 20,
    "step_size": 0.1,
    "iterations": 1500,
    "learning_rate": 0.01,
    "num_tasks": 32,
    "repeats": 8,
    "depths": [1, 2, 3, 4],
}
# What is compared: label, depth, colour, line style.
CONTENDERS = {
    "shallow_maml": ("shallow + MAML", 1, SHALLOW, "-"),
    "shallow_meta_sgd": ("shallow + Meta-SGD", 1, THIRD, "-"),
    "shallow_meta_kfo": ("shallow + Meta-KFO", 1, SECOND, "-"),
    "deep_maml": ("deep + MAML", 2, DEEP, "--"),
}
STEPS = 2 * len(CONTENDERS) + 2 * len(SETTINGS["depths"])
CAPTION = (
    "What depth does, a meta-optimizer can do instead. All contenders start from the same function "
    "and the same first step (the deep model is the shallow one with an identity layer below), "
    "learn their start and their rule together, step size included, and take one inner step. (a) "
    "Linear regression in four dimensions with correlated inputs, exact population loss. Dotted: "
    "the least that MAML and Meta-SGD can reach on a shallow model, in closed form; Meta-KFO's is "
    "zero. (b) Binary classification with the same covariance, 20 shots, fresh tasks at every "
    "iteration, mean of 8 runs, smoothed over 50 iterations. (c) The preconditioner of the "
    "end-to-end gradient after training in (a): induced by the deep model's layers, learned by "
    "Meta-KFO, and the best there is, on one scale; the angle is that between the first two as "
    "vectors (in b, the mean over runs). (d) The exact loss after a fifth of the iterations in "
    "(a), by depth, with MAML and with Meta-KFO on every layer: what Meta-KFO gains shrinks as "
    "layers are added."
)


def _covariance() -> jax.Array:
    dim = SETTINGS["dim"]
    axes = np.linalg.qr(np.random.default_rng(SETTINGS["axes_seed"]).normal(size=(dim, dim)))[0]
    return jnp.asarray(axes * SETTINGS["x_variances"] @ axes.T)


def _regression() -> LinearRegression:
    return LinearRegression(
        dim=SETTINGS["dim"], theta_mean=SETTINGS["theta_mean"], x_cov=_covariance()
    )


def _model(depth: int) -> Params:
    return add_linear_layers((jnp.zeros((1, SETTINGS["dim"])),), depth - 1)


def _rule(name: str, params: Params) -> Rule:
    step_size = SETTINGS["step_size"]
    if name.endswith("meta_kfo"):
        return MetaKFO.identity(params, step_size, psd=True)
    if name.endswith("meta_sgd"):
        return MetaSGD.identity(params, step_size)
    return MAML(step_size)


def _train_exactly(name: str, depth: int, iterations: int) -> Run:
    params = _model(depth)
    loss = ExactLoss(_regression(), _rule(name, params))
    return meta_train(*joint(loss, params), optax.adam(SETTINGS["learning_rate"]), iterations)


def _train_classifiers(name: str, depth: int) -> Run:
    tasks = BinaryClassification(
        dim=SETTINGS["dim"],
        mean_std=SETTINGS["mean_std"],
        x_cov=_covariance(),
        shots=SETTINGS["shots"],
    )
    params = _model(depth)
    sampled = sampled_loss(tasks, _rule(name, params), SETTINGS["num_tasks"], num_queries=None)
    loss, pair = joint(sampled, params)
    optimizer = optax.adam(SETTINGS["learning_rate"])
    # The same keys, hence the same tasks, for every contender.
    keys = jax.random.split(jax.random.key(0), SETTINGS["repeats"])
    runs = jax.vmap(lambda k: meta_train(loss, pair, optimizer, SETTINGS["iterations"], k))
    return runs(keys)


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """Losses along training, preconditioners at its end, and the best of each kind."""
    data: dict[str, Any] = {"best_matrix": jnp.linalg.inv(_covariance())}
    for kind in ("scalar", "diagonal"):
        data[f"best_{kind}_loss"] = best_preconditioner(_regression(), kind).loss
    for name, (_, depth, _, _) in CONTENDERS.items():
        run = _train_exactly(name, depth, SETTINGS["iterations"])
        data[f"regression_{name}"] = run.loss
        data[f"matrix_{name}"] = induced_preconditioner(*run.params)
        tick()
        runs = _train_classifiers(name, depth)
        data[f"classification_{name}"] = runs.loss.mean(0)
        data[f"classifier_matrices_{name}"] = jax.vmap(induced_preconditioner)(*runs.params)
        tick()
    data["angle"] = angle(data["matrix_deep_maml"], data["matrix_shallow_meta_kfo"])
    data["classifier_angles"] = jax.vmap(angle)(
        data["classifier_matrices_deep_maml"], data["classifier_matrices_shallow_meta_kfo"]
    )
    data["angle_to_identity"] = angle(data["matrix_deep_maml"], jnp.eye(SETTINGS["dim"]))
    for name in ("maml", "meta_kfo"):
        final = []
        for depth in SETTINGS["depths"]:
            final.append(_train_exactly(name, depth, SETTINGS["iterations"] // 5).loss[-1])
            tick()
        data[f"by_depth_{name}"] = jnp.stack(final)
    return {key: np.asarray(value) for key, value in data.items()}


def draw(data: Mapping[str, np.ndarray]) -> Figure:
    """The picture of what ``compute`` returns."""
    with style():
        figure = new_figure(PAGE, 4.6)
        halves: Any = figure.subfigures(2, 1)
        top, bottom = halves
        regression, classification = top.subplots(1, 2)
        *matrices, by_depth = bottom.subplots(1, 4, width_ratios=(1, 1, 1, 2.2)).flat
        _curves(regression, data, "regression")
        _curves(classification, data, "classification")
        classification.legend(loc="upper right")
        for kind, name in (("scalar", "MAML"), ("diagonal", "Meta-SGD")):
            level = float(data[f"best_{kind}_loss"])
            regression.axhline(level, color=REFERENCE, lw=0.9, ls=":", zorder=1)
            regression.annotate(
                f"best possible shallow {name}",
                (SETTINGS["iterations"], level),
                (0, 2),
                textcoords="offset points",
                ha="right",
                fontsize=6.5,
                color=REFERENCE,
            )
        regression.set_yscale("log")
        regression.set_ylim(1e-4, 3)
        regression.set_title("(a) regression", loc="left")
        classification.set_title("(b) classification", loc="left")
        _matrices(matrices, data)
        _by_depth(by_depth, data)
        return figure


def _curves(axes: Axes, data: Mapping[str, np.ndarray], problem: str) -> None:
    window = np.ones(50) / 50
    for name, (label, _, colour, line) in CONTENDERS.items():
        loss = data[f"{problem}_{name}"]
        steps = np.arange(len(loss))
        if problem == "classification":
            loss = np.convolve(loss, window, mode="valid")
            steps = steps[len(window) // 2 :][: len(loss)]
        axes.plot(steps, loss, color=colour, ls=line, label=label)
    axes.set_xlabel("meta-iteration")
    axes.set_ylabel("post-adaptation loss")
    axes.set_xlim(0, SETTINGS["iterations"])


def _matrices(axes: list[Axes], data: Mapping[str, np.ndarray]) -> None:
    shown = (
        ("matrix_deep_maml", "deep: induced\nby the layers", DEEP),
        ("matrix_shallow_meta_kfo", "shallow: learned\nby Meta-KFO", SECOND),
        ("best_matrix", "best: inverse\ncovariance", REFERENCE),
    )
    limit = float(np.abs(data["best_matrix"]).max())
    for ax, (key, title, colour) in zip(axes, shown, strict=True):
        ax.imshow(data[key], cmap="RdBu_r", vmin=-limit, vmax=limit)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel(title, color=colour)
        for side in ax.spines.values():
            side.set_visible(True)
    apart, classifiers = float(data["angle"]), float(data["classifier_angles"].mean())
    heading = axes[0].set_title(
        f"(c) preconditioners: {apart:.1f}° apart ({classifiers:.1f}° in b)", loc="left"
    )
    heading.set_in_layout(False)  # it runs over all three


def _by_depth(axes: Axes, data: Mapping[str, np.ndarray]) -> None:
    depths = SETTINGS["depths"]
    maml, kfo = data["by_depth_maml"], data["by_depth_meta_kfo"]
    axes.fill_between(depths, kfo, maml, color=REFERENCE, alpha=0.2, lw=0)
    axes.plot(depths, maml, color=DEEP, marker="o", ms=4, label="MAML")
    axes.plot(depths, kfo, color=SECOND, marker="s", ms=4, label="Meta-KFO")
    axes.annotate("gain of\nMeta-KFO", (1.06, 0.075), fontsize=6.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("layers")
    axes.set_ylabel("loss after training")
    axes.set_title("(d) the gain of Meta-KFO, by depth", loc="left")
    axes.legend(loc="upper right")
