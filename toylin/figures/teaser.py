"""Shallow against deep at the same modelling capacity: regression and classification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin import closed_form
from toylin.figures._teaser_panels import draw as draw
from toylin.figures._teaser_scores import exact_scores, held_out_scores
from toylin.limits import bayes_loss, shallow_floor
from toylin.models import Params, init
from toylin.rules import MAML
from toylin.tasks import BinaryClassification, LinearRegression
from toylin.training import SampledLoss, meta_train

STEPS = 4
SETTINGS: dict[str, Any] = {
    "regression": {
        "widths": {"shallow": [1, 1], "deep": [1, 1, 1]},
        "theta_mean": 0.0,
        "theta_cov": 1.0,
        "x_cov": 1.0,
        "noise_std": 0.1,
        "shots": 10,
        "step_size": 0.1,
        "steps": 1,
        "optimizer": "adam",
        "learning_rate": 0.01,
        "num_steps": 800,
        "init_scale": 0.5,
        "seeds": 20,
        "dtype": "float64",
    },
    "classification": {
        "widths": {"shallow": [20, 1], "deep": [20, 20, 1]},
        "mean_std": 0.5,
        "shots": 10,
        "step_size": 0.03,
        "steps": 1,
        "optimizer": "adam",
        "learning_rate": 0.01,
        "num_steps": 800,
        "init_scale": 1.0,
        "seeds": 5,
        "evaluation_tasks": 500,
        "dtype": "float32",
    },
    "tasks_per_iteration": 32,
    "queries": 10,
    "seed": 0,
}
CAPTION = (
    "MAML fails on a shallow linear model and succeeds on a deep one of the same modelling "
    "capacity. Left: scalar linear regression, theta ~ N(0, 1), label noise 0.1, 10 shots, one "
    "inner step of 0.1; f(x) = w x against f(x) = w2 w1 x. Curves are the exact expected "
    "post-adaptation loss along meta-training on sampled tasks: median and range of 20 seeds. "
    "Right: logistic regression in 20 dimensions, classes at +-m with m ~ N(0, 0.25 I), 10 shots, "
    "one inner step of 0.03, without (LogR) and with (LogR+LinNet) an added 20 x 20 linear layer; "
    "loss and accuracy on the population of 500 held-out tasks: median and range of 5 seeds. "
    "Dotted: the exact expectation along the first seed's LogR, over all tasks and for a step on "
    "the population, from which 10 shots cannot be told. Dashed grey: LogR at its best start, "
    "w = 0. There the step has the right direction, so that accuracy is high, but it is too short "
    "for the loss to fall; and since it is so short, the little noise that meta-training leaves in "
    "w outweighs it, and accuracy is lost as well."
)

_CHECKPOINTS = 60


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """Curves of both problems and both models, with the reference levels."""
    data: dict[str, np.ndarray] = {}
    for model in ("shallow", "deep"):
        data |= _regression(model)
        tick()
        data |= _classification(model)
        tick()
    return data | _references()


def _regression_tasks() -> tuple[LinearRegression, MAML]:
    s = SETTINGS["regression"]
    tasks = LinearRegression(
        theta_mean=s["theta_mean"],
        theta_cov=s["theta_cov"],
        x_cov=s["x_cov"],
        noise_std=s["noise_std"],
        shots=s["shots"],
    )
    return tasks, MAML(s["step_size"], s["steps"])


def _classification_tasks() -> tuple[BinaryClassification, MAML]:
    s = SETTINGS["classification"]
    dim = s["widths"]["shallow"][0]
    tasks = BinaryClassification(dim=dim, mean_std=s["mean_std"], shots=s["shots"])
    return tasks, MAML(s["step_size"], s["steps"])


def _train(tasks: Any, rule: MAML, settings: dict[str, Any], model: str) -> tuple[Params, Any]:
    """Checkpoints of every seed's parameters, and the iterations they were taken at."""
    import optax

    loss = SampledLoss(tasks, rule, SETTINGS["tasks_per_iteration"], SETTINGS["queries"])
    optimizer = optax.adam(settings["learning_rate"])
    iterations = settings["num_steps"]
    at = np.unique(np.linspace(0, iterations - 1, _CHECKPOINTS).astype(int))

    @jax.jit
    @jax.vmap
    def run(key: jax.Array) -> Params:
        key_init, key_train = jax.random.split(key)
        widths = settings["widths"][model]
        start = init(key_init, widths, settings["init_scale"], settings["dtype"])
        done = meta_train(loss, start, optimizer, iterations, key_train, trajectory=True)
        return jax.tree.map(lambda w: w[at], done.trajectory)

    return run(jax.random.split(jax.random.key(SETTINGS["seed"]), settings["seeds"])), at


def _regression(model: str) -> dict[str, np.ndarray]:
    tasks, rule = _regression_tasks()
    paths, at = _train(tasks, rule, SETTINGS["regression"], model)
    exact = jax.vmap(jax.vmap(lambda params: closed_form.outer_loss(params, tasks, rule)))
    return {
        "regression_iteration": at,
        f"regression_{model}_loss": np.asarray(jax.jit(exact)(paths)),
    }


def _classification(model: str) -> dict[str, np.ndarray]:
    settings = SETTINGS["classification"]
    tasks, rule = _classification_tasks()
    paths, at = _train(tasks, rule, settings, model)
    # Last of all a start at zero: for the shallow model, the best there is.
    flat = jax.tree.map(
        lambda w: jnp.concatenate([w.reshape(-1, *w.shape[2:]), jnp.zeros_like(w[0, :1])]), paths
    )
    key = jax.random.fold_in(jax.random.key(SETTINGS["seed"]), 1)
    scores = np.asarray(held_out_scores(flat, tasks, rule, key, settings["evaluation_tasks"]))
    loss, accuracy = np.moveaxis(scores[:-1].reshape(settings["seeds"], len(at), 2), -1, 0)
    reference = {}
    if model == "shallow":
        reference = {
            "classification_shallow_best_loss": scores[-1, 0],
            "classification_shallow_best_accuracy": scores[-1, 1],
            "classification_shallow_exact_loss": exact_scores(paths[0][0], tasks, rule),
        }
    return reference | {
        "classification_iteration": at,
        f"classification_{model}_loss": loss,
        f"classification_{model}_accuracy": accuracy,
    }


def _references() -> dict[str, np.ndarray]:
    tasks, rule = _regression_tasks()
    none = closed_form.outer_loss((jnp.zeros((1, 1)),), tasks, MAML(0.0, 0))
    return {
        "regression_no_adaptation": np.asarray(none),
        "regression_shallow_floor": np.asarray(shallow_floor(tasks, rule)),
        "regression_bayes": np.asarray(bayes_loss(tasks)),
    }
