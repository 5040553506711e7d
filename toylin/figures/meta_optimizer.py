"""Upper layers do what a learned meta-optimizer does: shallow + Meta-KFO against deep + MAML."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from toylin.depth import best_preconditioner, induced_preconditioner, matrix_angle
from toylin.figures._meta_optimizer_panels import CONTENDERS
from toylin.figures._meta_optimizer_panels import draw as draw
from toylin.models import Params, add_linear_layers
from toylin.rules import MAML, MetaKFO, MetaSGD, Rule
from toylin.tasks import BinaryClassification, LinearRegression
from toylin.training import ExactLoss, Run, SampledLoss, joint, meta_train

SETTINGS: dict[str, Any] = {
    "dim": 4,
    "x_variances": [2.0, 1.0, 0.5, 0.1],
    "axes_seed": 0,
    "theta_mean": 0.5,
    "mean_std": 1.0,
    "shots": 20,
    "step_size": 0.1,
    "num_steps": 1500,
    "learning_rate": 0.01,
    "num_tasks": 32,
    "repeats": 8,
    "depths": [1, 2, 3, 4],
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
    sampled = SampledLoss(tasks, _rule(name, params), SETTINGS["num_tasks"], num_queries=None)
    loss, pair = joint(sampled, params)
    optimizer = optax.adam(SETTINGS["learning_rate"])
    # The same keys, hence the same tasks, for every contender.
    keys = jax.random.split(jax.random.key(0), SETTINGS["repeats"])
    runs = jax.vmap(lambda k: meta_train(loss, pair, optimizer, SETTINGS["num_steps"], k))
    return runs(keys)


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """Losses along training, preconditioners at its end, and the best of each kind."""
    data: dict[str, Any] = {"best_matrix": jnp.linalg.inv(_covariance())}
    for kind in ("scalar", "diagonal"):
        data[f"best_{kind}_loss"] = best_preconditioner(_regression(), kind).loss
    for name, (_, depth, _, _) in CONTENDERS.items():
        run = _train_exactly(name, depth, SETTINGS["num_steps"])
        data[f"regression_{name}"] = run.loss
        data[f"matrix_{name}"] = induced_preconditioner(*run.params)
        tick()
        runs = _train_classifiers(name, depth)
        data[f"classification_{name}"] = runs.loss.mean(0)
        data[f"classifier_matrices_{name}"] = jax.vmap(induced_preconditioner)(*runs.params)
        tick()
    data["angle"] = matrix_angle(data["matrix_deep_maml"], data["matrix_shallow_meta_kfo"])
    data["classifier_angles"] = jax.vmap(matrix_angle)(
        data["classifier_matrices_deep_maml"], data["classifier_matrices_shallow_meta_kfo"]
    )
    data["angle_to_identity"] = matrix_angle(data["matrix_deep_maml"], jnp.eye(SETTINGS["dim"]))
    for name in ("maml", "meta_kfo"):
        final = []
        for depth in SETTINGS["depths"]:
            final.append(_train_exactly(name, depth, SETTINGS["num_steps"] // 5).loss[-1])
            tick()
        data[f"by_depth_{name}"] = jnp.stack(final)
    return {key: np.asarray(value) for key, value in data.items()}
