"""Runs on images for the figures: train on some classes, test on others, along the way too."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from toylin.limits import evaluate
from toylin.models import Model, predict
from toylin.rules import Rule
from toylin.tasks import ImageClasses, ImageTasks
from toylin.training import SampledLoss, joint, meta_train


class Contender(NamedTuple):
    """What is trained: where a model and its rule start, and whether the rule learns.

    The step size of MAML, and of MAML on the head, is held; all that another rule has learns.
    """

    params: Any
    rule: Rule
    model: Model = predict

    @property
    def learns_rule(self) -> bool:
        """Whether the rule, or that which adapts the head, learns with the model."""
        return (getattr(self.rule, "rule", None) or self.rule).learned


def laws(settings: dict[str, Any], train: ImageClasses, test: ImageClasses) -> list[ImageTasks]:
    """The laws of tasks to train and to test on."""
    return [ImageTasks(images, settings["ways"], settings["shots"]) for images in (train, test)]


def accuracies(
    contender: Contender, tasks: list[ImageTasks], seed: int, settings: dict[str, Any]
) -> np.ndarray:
    """Accuracy on unseen classes at every record and, last, after training.

    Every contender of a seed trains on the same tasks and is tested on the same tasks.
    """
    import optax

    params, rule, model = contender
    train, unseen = tasks
    key, key_test = jax.random.split(jax.random.key(seed))
    loss: Any = SampledLoss(train, rule, settings["num_tasks"], settings["num_queries"], model)
    start: Any = params
    if contender.learns_rule:
        loss, start = joint(loss, params)
    run = meta_train(
        loss,
        start,
        optax.adam(settings["learning_rate"]),
        settings["num_steps"],
        key,
        record_every=settings["record_every"],
        trajectory=True,
    )
    path = [jax.tree.map(lambda leaf, k=k: leaf[k], run.trajectory) for k in range(len(run.loss))]
    found = []
    for at in (*path, run.params):
        w, r = at if contender.learns_rule else (at, rule)
        sizes = settings["test_tasks"], settings["num_queries"]
        accuracy = evaluate(w, unseen, r, key_test, *sizes, model).accuracy
        assert accuracy is not None
        found.append(float(accuracy.mean))
    return np.asarray(found)


def iterations(settings: dict[str, Any]) -> np.ndarray:
    """The meta-iterations that ``accuracies`` are of."""
    return np.array(
        [*range(0, settings["num_steps"], settings["record_every"]), settings["num_steps"]]
    )
