"""Omniglot by convolutional networks: depth, linear layers, Meta-KFO, and the head alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin.figures._convolutional_panel import METHODS
from toylin.figures._convolutional_panel import draw as draw
from toylin.figures._on_images import Contender, accuracies, laws
from toylin.images import omniglot
from toylin.models import Convolutional, LinNet
from toylin.rules import ANIL, MAML, MetaKFO

_SETTINGS: dict[str, Any] = {
    "ways": 5,
    "shots": 1,
    "num_queries": 5,
    "depths": [1, 2, 4],
    "linear_layers": 2,
    "step_size": 0.1,
    "seeds": [0, 1, 2],
}
BUDGETS: dict[str, dict[str, Any]] = {
    "small": {
        **_SETTINGS,
        "size": 14,
        "width": 16,
        "num_tasks": 4,
        "learning_rate": 0.003,
        "num_steps": 300,
        "test_tasks": 300,
    },
    "large": {
        **_SETTINGS,
        "depths": [1, 2, 3, 4],
        "size": 28,
        "width": 64,
        "num_tasks": 32,
        "learning_rate": 0.001,
        "num_steps": 10_000,
        "test_tasks": 2000,
    },
}
CAPTION = (
    "Depth and meta-optimizers in convolutional networks, on Omniglot: 5 classes, 1 support and 5"
    " query images of each, one inner step of 0.1; networks of 3 x 3 filters, normalisation by "
    "the points at hand, ReLU and pooling, under a linear head. Accuracy after adaptation to "
    "classes of alphabets that no training saw; median and range of three seeds. MAML (all layers"
    " adapt) gains by depth; two linear layers added above the head, identities at first, add to "
    "that; Meta-KFO, learned with the network, helps most, and the shallow network more than the "
    "deep one, so that depth is worth least beside it. ANIL adapts the head alone, so that depth "
    "cannot help it to adapt; linear layers help it little here and Meta-KFO, on the head alone, "
    "about as much as on all layers. The settings are ours, not the paper's: with the small "
    "budget drawings of 14 x 14, 16 filters, 4 tasks a meta-iteration and 300 meta-iterations of "
    "Adam with 0.003, far from convergence; with the large one 28 x 28, 64 filters, 32 tasks and "
    "10,000. The head of a deeper network sees fewer numbers (784, 144 and 16 by the small "
    "budget), so that one step size is not the same step at every depth."
)


def steps(settings: dict[str, Any]) -> int:
    """How many times ``compute`` reports progress."""
    return len(METHODS) * len(settings["depths"]) * len(settings["seeds"])


def contender(name: str, depth: int, seed: int, tasks: Any, settings: dict[str, Any]) -> Contender:
    """One of the methods, at its start."""
    model: Any = Convolutional(depth, settings["width"])
    head: tuple[int | str, ...] = (-1,)
    if name.endswith("linear"):
        model = LinNet(model, output_layers=settings["linear_layers"])
        head = (f"model/{depth}", "output")
    params = model.init(jax.random.key(seed), tasks, jnp.float32)
    step_size = settings["step_size"]
    return Contender(
        params,
        {
            "maml": lambda: MAML(step_size),
            "maml_linear": lambda: MAML(step_size),
            "maml_kfo": lambda: MetaKFO.identity(params, step_size),
            "anil": lambda: ANIL(step_size),
            "anil_linear": lambda: ANIL(step_size, layers=head),
            "anil_kfo": lambda: ANIL(rule=MetaKFO.identity(params[-1], step_size)),
        }[name](),
        model,
    )


def compute(tick: Callable[[], None], settings: dict[str, Any], root: Path) -> dict[str, Any]:
    """Accuracy on unseen alphabets, before and after training: (depths, seeds, 2) a method."""
    train, test = (omniglot(root, split, settings["size"]) for split in ("train", "test"))
    tasks = laws(settings, train, test)
    whole = settings | {"record_every": settings["num_steps"]}
    data: dict[str, Any] = {}
    for name in METHODS:
        rows = []
        for depth in settings["depths"]:
            for seed in settings["seeds"]:
                rows.append(
                    accuracies(contender(name, depth, seed, tasks[0], whole), tasks, seed, whole)
                )
                tick()
        data[f"accuracy_{name}"] = np.reshape(rows, (len(settings["depths"]), -1, 2))
    return data | {name: np.asarray(settings[name]) for name in ("depths", "ways")}
