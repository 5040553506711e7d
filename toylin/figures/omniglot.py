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
CAPTION = (
    "The claim on real images. Linear softmax classifiers of one modelling capacity, on the "
    "pixels of Omniglot at 28 x 28: 5 classes, 5 support and 15 query images of each, one inner "
    "step, 16 tasks a meta-iteration, Adam with 0.001; accuracy after adaptation to classes of "
    "alphabets that no training saw. Median and range of three seeds. All but one layer (black) "
    "are the same kind of function: with linear layers added (squares: identities at first, 784 x"
    " 784 at the input, 5 x 5 at the output), with hidden layers of 64, or with a learned rule on"
    " the one layer (Meta-SGD, a step size for every weight; Meta-Curvature, and Meta-KFO by "
    "matrices or by small networks; start and rule are learned together). (a) At a step size of "
    "0.1 one layer stays far below. (b) Learned rules do not depend on the step size that they "
    "begin with; deep models need one that is not too small. Two things are not as the paper's "
    "abstract might lead one to expect: a layer added at the output of one linear layer helps "
    "little (it is 5 x 5, and mixes classes only), one at the input helps, from a step size of "
    "0.1 on, as much as Meta-KFO; and a step size for every weight, which is diagonal, does not "
    "replace depth. Pixels and linear models, the size of the images and 500 meta-iterations "
    "(10,000 with the large budget) are our settings, not the paper's."
)


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
    for name in ("step_sizes", "shown", "ways"):
        data[name] = np.asarray(settings[name])
    return data
