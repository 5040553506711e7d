"""Shallow against deep at the same modelling capacity: regression and classification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from toylin import closed_form
from toylin.figures._teaser_panels import draw as draw
from toylin.figures._teaser_scores import exact_losses, exact_scores, held_out_scores
from toylin.figures._teaser_training import IS_SHALLOW, layers_free, paths_of_both
from toylin.limits import bayes_loss, deep_floor, shallow_floor
from toylin.models import Params
from toylin.rules import MAML
from toylin.tasks import BinaryClassification, LinearRegression

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
        "test_tasks": 500,
    },
    "num_tasks": 32,
    "num_queries": 10,
    "seed": 0,
}
CAPTION = (
    "MAML fails on a shallow linear model and succeeds on a deep one of the same modelling "
    "capacity. Left: scalar linear regression, theta ~ N(0, 1), label noise 0.1, 10 shots, one "
    "inner step of 0.1; f(x) = w x against f(x) = w2 w1 x. Curves are the exact expected "
    "post-adaptation loss along meta-training on sampled tasks: median and range of 20 seeds. "
    "Dashed: the lowest loss without adaptation, of either model after it, of any learner. "
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
_MODELS = ("shallow", "deep")


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """Curves of both problems and both models, with the reference levels."""
    regression, classification = _regression_tasks(), _classification_tasks()
    at = np.linspace(0, SETTINGS["regression"]["num_steps"] - 1, _CHECKPOINTS).astype(int)
    paths = _train(regression, "regression", at)
    tick()
    data = {"regression_iteration": at, **_regression(paths)}
    tick()
    at = np.linspace(0, SETTINGS["classification"]["num_steps"] - 1, _CHECKPOINTS).astype(int)
    paths = _train(classification, "classification", at)
    tick()
    data |= {"classification_iteration": at, **_classification(paths)}
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


def _train(problem: tuple[Any, MAML], name: str, at: np.ndarray) -> Params:
    sizes = (SETTINGS["num_tasks"], SETTINGS["num_queries"])
    return paths_of_both(*problem, SETTINGS[name], sizes, SETTINGS["seed"], at)


def _regression(paths: Params) -> dict[str, np.ndarray]:
    losses = exact_losses(paths, IS_SHALLOW, *_regression_tasks())
    return {f"regression_{name}_loss": loss for name, loss in zip(_MODELS, losses, strict=True)}


def _classification(paths: Params) -> dict[str, np.ndarray]:
    settings = SETTINGS["classification"]
    tasks, rule = _classification_tasks()
    size = paths[0].shape[:3]  # last of all a start at zero: for the shallow model, the best
    flat = tuple(
        np.concatenate([np.reshape(w, (-1, *w.shape[3:])), np.zeros((1, *w.shape[3:]))])
        for w in paths
    )
    free = layers_free(np.append(np.repeat(IS_SHALLOW, size[1] * size[2]), True))
    key = jax.random.fold_in(jax.random.key(SETTINGS["seed"]), 1)
    scores = np.asarray(held_out_scores(flat, free, tasks, rule, key, settings["test_tasks"]))
    data = {
        f"classification_{model}_{score}": values
        for model, both in zip(_MODELS, scores[:-1].reshape(*size, 2), strict=True)
        for score, values in zip(("loss", "accuracy"), np.moveaxis(both, -1, 0), strict=True)
    }
    return data | {
        "classification_shallow_best_loss": scores[-1, 0],
        "classification_shallow_best_accuracy": scores[-1, 1],
        "classification_shallow_exact_loss": exact_scores(paths[1][0, 0], tasks, rule),
    }


def _references() -> dict[str, np.ndarray]:
    tasks, rule = _regression_tasks()
    none = closed_form.outer_loss((np.zeros((1, 1)),), tasks, MAML(0.0, 0))
    return {
        "regression_no_adaptation": np.asarray(none),
        "regression_shallow_floor": np.asarray(shallow_floor(tasks, rule)),
        "regression_deep_floor": np.asarray(deep_floor(tasks, rule)),
        "regression_bayes": np.asarray(bayes_loss(tasks)),
    }
