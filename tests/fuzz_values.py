"""Good values for the arguments of every public callable, by name, and bad ones for any."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import toylin as tl

# What functions return, and what is no function of arguments.
RESULTS = {
    "BestLayers",
    "BestPreconditioner",
    "CriticalPoints",
    "Derivation",
    "Estimate",
    "Evaluation",
    "FormulaReport",
    "NoClosedFormError",
    "Route",
    "RoutesReport",
    "Rule",
    "Run",
    "SavedRun",
    "StoreError",
    "Surface",
    "SweepCost",
    "Tail",
    "TailWarning",
    "WrongFormulaError",
    "pytree_dataclass",
    "static_field",
}


def quadratic(params):
    """A loss of two weights, or of a pytree of them."""
    return sum(jnp.sum((w - 1.0) ** 2) for w in jax.tree.leaves(params))


def critical_points_at(x):
    return tl.solve_critical_points(tl.LinearRegression(theta_mean=x), tl.MAML(0.5))


@cache
def good() -> dict[str, Any]:
    """A valid value for every name of a parameter, or ``callable.parameter``."""
    params = (jnp.array([[0.7]]), jnp.array([[-0.9]]))
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
    rule, key = tl.MAML(0.1), jax.random.key(0)
    batch = tasks.sample(key, 4, 3)
    points = tl.RegressionPoints(jnp.ones((3, 1)), jnp.arange(3.0))
    zero, one = jnp.zeros((1, 1)), jnp.ones((1, 1))
    factors = ((jnp.ones((1, 1)), jnp.ones((1, 1))),) * 2
    return {
        "params": params,
        "tasks": tasks,
        "rule": rule,
        "key": key,
        "batch": batch,
        "support": points,
        "Batch.support": batch.support,
        "parts": tl.RegressionPoints(jnp.ones((2, 3, 1)), jnp.ones((2, 3))),
        "query": batch.query,
        "truth": None,
        "log_weight": None,
        "model": tl.predict,
        "sweep.model": None,
        "save_run.model": None,
        "remat": False,
        "step_size": 0.1,
        "hyper_step_size": 0.1,
        "ANIL.rule": None,
        "steps": 1,
        "first_order": False,
        "layers": "head",
        "dim": 1,
        "mean_std": 1.0,
        "x_cov": 1.0,
        "theta_cov": 1.0,
        "theta_mean": 0.3,
        "noise_std": 0.1,
        "outputs": 2,
        "classes": 2,
        "ClassPoints.y": jnp.array([0, 1, 1]),
        "images": np.ones((3, 4, 2), np.float32),
        "counts": np.array([4, 3, 4]),
        "names": ("a", "b", "c"),
        "ways": 2,
        "ImageTasks.shots": 1,
        "Convolutional.depth": 2,
        "MLP.hidden": (3,),
        "LinNet.model": tl.MLP((3,)),
        "input_layers": 1,
        "strength": 0.5,
        "iterations": 1,
        "output_layers": 1,
        "evaluate.num_queries": 3,
        "output_cov": 1.0,
        "shots": 5,
        "derive.shots": "K",
        "mean": jnp.ones(2),
        "cov": jnp.eye(2),
        "x": jnp.ones((3, 1)),
        "y": jnp.ones(3),
        "predict.x": jnp.ones((3, 1)),
        "xx": jnp.ones((1, 1)),
        "theta": jnp.ones(1),
        "xe": jnp.zeros(1),
        "ee": jnp.zeros(()),
        "depth": 2,
        "width": 1,
        "widths": (1, 1, 1),
        "scale": 1.0,
        "transform_params": (),
        "transform": lambda _, grads: grads,
        "adapt_transform": False,
        "per_step": False,
        "psd": True,
        "factors": factors,
        "step_sizes": (zero + 0.1, zero + 0.1),
        "networks": tl.NonlinearKFO.identity(params, 0.1, hidden=2).networks,
        "name": "maml",
        "Optimizer.name": "adam",
        "learning_rate": 0.01,
        "options": {},
        "num_tasks": 32,
        "num_queries": 4,
        "num_layers": 1,
        "position": 0,
        "loss": tl.ExactLoss(tasks, rule),
        "basins.loss": quadratic,
        "classify_point.loss": quadratic,
        "search_critical_points.loss": quadratic,
        "sweep.loss": "exact",
        "save_run.loss": np.ones(3),
        "joint.loss": tl.SampledLoss(tasks, rule, 4),
        "starts": jnp.zeros((3, 2)),
        "minima": jnp.ones((1, 2)),
        "optimizer": optax.sgd(0.1),
        "sweep.optimizer": "sgd",
        "num_steps": 3,
        "radius": 0.1,
        "dtype": None,
        "kind": "full",
        "tolerance": 1e-9,
        "find_bifurcations.tolerance": 1e-2,
        "find_bifurcations.points_at": critical_points_at,
        "values": [0.1, 0.2],
        "simplify": 5,
        "method": "mc",
        "zero_layer": 0,
        "free": (),
        "path": "missing.npz",
        "save_run.path": "run.npz",
        "first": jnp.eye(2),
        "second": jnp.eye(2),
        "trajectory": False,
        "record_every": 1,
        "progress": False,
        "verify": False,
        "settings": {"a": 1},
        "iteration": None,
        "extent": 2.0,
        "variables": 2,
        "resolution": 5,
        "rows": jnp.ones((1, 2)),
        "subspace_distance.truth": jnp.array([[1.0, 0.0]]),
        "params_optimizer": optax.sgd(0.1),
        "rule_optimizer": optax.sgd(0.1),
        "frozen": (),
        "gradient": jnp.ones(1),
        "directions": ((one, zero), (zero, one)),
        "over": {"step_size": [0.1]},
        "seeds": None,
        "eval_tasks": 4,
        "learn_rule": False,
        "store": None,
        "memory": "1GiB",
        "chunk_runs": None,
        "devices": None,
        "dry_run": False,
        "weights": [0.7, -0.9],
        "hidden": 2,
    } | {
        # What a function needs of its own.
        "tails.tasks": tasks,
        "params.depth": 2,
        "check_outer_loss.params": None,
        "check_outer_loss.tasks": None,
        "check_outer_loss.rule": None,
        "formula": tl.closed_form.outer_loss,
        "grad": None,
        "max_examples": 1,
        "seed": 0,
        "size": 1.0,
        "low": 0.5,
        "high": 1.0,
        "regressions.shots": (None, 1),
        "classifications.shots": None,
        "classifications.classes": None,
        "points": 4,
        "singular": True,
        "best_layers.tasks": tl.LinearRegression(outputs=2, shots=5),
        "deep_floor.tasks": tl.LinearRegression(shots=5),
        "deep_optimum.tasks": tl.LinearRegression(shots=5),
        "solve_critical_points.tasks": tl.LinearRegression(shots=5),
        "known_minimum.tasks": tl.LinearRegression(),
        "known_minimum.zero_layer": 0,
    }


# What a message calls an argument, where that is clearer than its name.
SYNONYMS = {"open_store(path": "store", "open_store(verify": "store"}

FUNCTIONS = {"formula", "grad", "loss", "model", "points_at", "transform"}

BAD: dict[str, Any] = {
    "None": None,
    "a word": "x",
    "nan": float("nan"),
    "inf": float("inf"),
    "-1": -1,
    "0": 0,
    "2**31": 2**31,
    "1.5": 1.5,
    "True": True,
    "complex": 1 + 2j,
    "a date": np.datetime64("2020-01-01"),
    "objects": np.array([object(), None]),
    "ragged": [[1.0], [1.0, 2.0]],
    "integers": np.array([1, 2]),
    "empty": np.zeros((0,)),
    "a cube": np.ones((3, 3, 3)),
    "nan array": np.array([[np.nan]]),
    "a dict": {},
    "a function": len,
    "a fraction": Fraction(1, 3),
}
