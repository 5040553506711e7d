"""Omniglot by linear classifiers of one capacity: what depth does, and what does it instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin.figures._omniglot_panels import METHODS
from toylin.figures._omniglot_panels import draw as draw
from toylin.figures._on_images import Contender, accuracies, iterations, laws
from toylin.images import omniglot
from toylin.models import add_linear_layers, init
from toylin.rules import MAML, make_rule

_SETTINGS: dict[str, Any] = {
    "size": 28,
    "ways": 5,
    "shots": 5,
    "num_queries": 15,
    "hidden": 64,
    "step_sizes": [0.01, 0.1, 0.5],
    "shown": 0.1,
    "seeds": [0, 1, 2],
    "num_tasks": 16,
    "learning_rate": 0.001,
}
BUDGETS: dict[str, dict[str, Any]] = {
    "small": {**_SETTINGS, "num_steps": 500, "record_every": 100, "test_tasks": 400},
    "large": {**_SETTINGS, "num_steps": 10_000, "record_every": 500, "test_tasks": 2000},
}
CAPTION = ""


def steps(settings: dict[str, Any]) -> int:
    """How many times ``compute`` reports progress."""
    return len(METHODS) * len(settings["step_sizes"]) * len(settings["seeds"])


def contender(name: str, seed: int, step_size: float, settings: dict[str, Any]) -> Contender:
    """One of the methods, at its start."""
    key, dim, ways = jax.random.key(seed), settings["size"] ** 2, settings["ways"]
    hidden = {"two": 1, "three": 2}.get(name, 0)
    params = init(key, (dim, *[settings["hidden"]] * hidden, ways), dtype=jnp.float32)
    if name in ("input", "output"):
        params = add_linear_layers(params, 1, 0 if name == "input" else 1)
    if name in ("one", "two", "three", "input", "output"):
        return Contender(params, MAML(step_size))
    return Contender(params, make_rule(name, params, step_size))


def compute(tick: Callable[[], None], settings: dict[str, Any], root: Path) -> dict[str, Any]:
    """Accuracy on unseen alphabets: (step sizes, seeds, records) for every method."""
    train, test = (omniglot(root, split, settings["size"]).flat() for split in ("train", "test"))
    tasks = laws(settings, train, test)
    data: dict[str, Any] = {"iteration": iterations(settings)}
    for name in METHODS:
        rows = []
        for step_size in settings["step_sizes"]:
            for seed in settings["seeds"]:
                rows.append(
                    accuracies(contender(name, seed, step_size, settings), tasks, seed, settings)
                )
                tick()
        shape = len(settings["step_sizes"]), len(settings["seeds"]), -1
        data[f"accuracy_{name}"] = np.reshape(rows, shape)
    for name in ("step_sizes", "shown"):
        data[name] = np.asarray(settings[name])
    return data
