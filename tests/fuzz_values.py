"""Good values for the arguments of every public callable, by name, and bad ones for any."""

from __future__ import annotations

import atexit
import io
import shutil
import tempfile
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.colors import LogNorm
from PIL import Image

import toylin as tl
from toylin import plotting
from toylin.images import published_split
from toylin.landscape import Basins
from toylin.sweeps._pictures import SweepPictures

# What functions return, and what is no function of arguments: nobody calls these.
RESULTS = {
    "LOSSES",
    "Scale",
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

# Classes whose methods are not attacked: exceptions, colours, what is only inherited from.
NO_METHODS = {"LOSSES", "NoClosedFormError", "Route", "Rule", "StoreError", "TailWarning"}

# Classes that are not exported by name, whose instances are what functions return.
MORE_CLASSES = {"Basins": Basins, "SweepPictures": SweepPictures}

# What is always refused, whatever it is given.
NOT_ATTACKED = {"GBML.identity", "Proximal.update"}


def quadratic(params):
    """A loss of two weights, or of a pytree of them."""
    return sum(jnp.sum((w - 1.0) ** 2) for w in jax.tree.leaves(params))


def critical_points_at(x):
    return tl.solve_critical_points(tl.LinearRegression(theta_mean=x), tl.MAML(0.5))


@cache
def folder() -> Path:
    """A folder with a saved run, a store, and images in every layout; gone at the end."""
    found = Path(tempfile.mkdtemp(prefix="toylin-fuzz-"))
    atexit.register(shutil.rmtree, found, ignore_errors=True)
    buffer = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(buffer, "png")
    classes = {"pets": ("cat", "dog")}
    classes["images_background"] = ("A/character01", "A/character02")
    classes |= {name: published_split(name)["train"] for name in ("mini-imagenet", "cifar-fs")}
    for collection, names in classes.items():
        for name in names:
            (found / collection / name).mkdir(parents=True)
            (found / collection / name / "0.png").write_bytes(buffer.getvalue())
    params = (jnp.array([[0.7]]), jnp.array([[-0.9]]))
    tl.save_run(found / "run.npz", params, tl.MAML(0.1), np.ones(3), {})
    tl.sweep(over=good()["over"], num_steps=2, store=found / "a.zarr")
    return found


@cache
def fresh() -> dict[str, Callable[[], Any]]:
    """What makes good values that no two calls may share, or that take long to make."""

    def axes() -> Any:
        return plotting.new_figure(3, 2).add_subplot()

    return {
        "ax": axes,
        "relief.ax": lambda: plotting.new_figure(3, 2).add_subplot(
            projection="3d", computed_zorder=False
        ),
        "plot_relief.ax": lambda: None,
        "drawing.ax": lambda: None,
        "basin_bar.axes": axes,
        "mappable": lambda: axes().scatter([1, 2], [1, 2], c=[0.1, 0.2]),
        "figure": lambda: axes().figure,
        "axis": lambda: axes().xaxis,
        "load_run.path": lambda: folder() / "run.npz",
        "open_store.path": lambda: folder() / "a.zarr",
        "root": lambda: folder() / "pets",
        "omniglot.root": folder,
        "mini_imagenet.root": lambda: folder() / "mini-imagenet",
        "cifar_fs.root": lambda: folder() / "cifar-fs",
    }


@cache
def made() -> dict[str, Callable[[], Any]]:
    """How to get one of each class that nobody calls by its own arguments."""
    table = good()
    params, rule, key = (table[name] for name in ("params", "rule", "key"))

    def run() -> Any:
        return tl.meta_train(table["loss"], params, optax.sgd(0.1), 3)

    return {
        "Basins": lambda: tl.basins(
            quadratic, jnp.zeros((3, 2)), jnp.ones((1, 2)), optax.sgd(0.1), 3
        ),
        "CriticalPoints": lambda: critical_points_at(0.3),
        "Derivation": lambda: tl.derive(2, 1),
        "Run": run,
        "SavedRun": lambda: tl.load_run(folder() / "run.npz"),
        "plotting.Scale": lambda: plotting.scale_of([0.1, 0.2]),
        "Surface": lambda: tl.surface(table["loss"], params, table["directions"], 2.0, 5),
        "SweepPictures": lambda: tl.open_store(folder() / "a.zarr").toylin,
        "Tail": lambda: tl.tails(params, table["tasks"], rule),
        "ClassPoints": lambda: tl.ClassPoints(jnp.ones((3, 1)), jnp.array([0, 1, 1]), 2),
        "BinaryPoints": lambda: tl.BinaryPoints(jnp.ones((3, 1)), jnp.array([1.0, -1.0, 1.0])),
        "BinaryMoments": lambda: tl.BinaryMoments(jnp.ones(1), jnp.eye(1)),
        "MetaKFO": lambda: tl.MetaKFO.identity(params, 0.1),
        "MetaCurvature": lambda: tl.MetaCurvature.identity(params, 0.1),
        "MetaSGD": lambda: tl.MetaSGD.identity(params, 0.1),
        "NonlinearKFO": lambda: tl.NonlinearKFO.identity(params, 0.1, hidden=2, key=key),
        "ImageClasses": lambda: tl.ImageClasses(np.ones((3, 4, 2, 2, 1), np.float32)),
        "LinearRegression": lambda: tl.LinearRegression(noise_std=0.2, shots=5),
        "LinNet": lambda: tl.LinNet(tl.MLP((3,))),
    }


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
    images = tl.ImageTasks(tl.ImageClasses(np.ones((3, 4, 8, 8, 1), np.float32)), 2, 1)
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
        "ImageTasks.num_queries": 2,
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
        "results": {"test_accuracy": 0.5},
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
        "test_tasks": 4,
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
        # Methods.
        "grads": params,
        "updates": params,
        "adapted": params,
        "adapt.loss": quadratic,
        "next.loss": quadratic,
        "outer_value.loss": quadratic,
        "z": jnp.ones((3, 1)),
        "sample_support.truth": jnp.ones((3, 1)),
        "population.theta": jnp.ones((3, 1)),
        "population.mean": jnp.ones((3, 1)),
        "task_axes": 0,
        "noiseless": False,
        "Convolutional.params": tl.Convolutional(2).init(key, images),
        "per_layer": False,
        "Convolutional.x": jnp.ones((3, 8, 8, 1)),
        "Convolutional.init.tasks": images,
        "MLP.params": tl.MLP((3,)).init(key, tasks),
        "LinNet.params": tl.LinNet(tl.MLP((3,))).init(key, tasks),
        "SampledLoss.num_queries": 4,
        "select.classes": [0, 1],
        "shape.outputs": 1,
        "ClassPoints.params": (jnp.ones((2, 1)),),
        "format.name": "text",
        "identity.layers": "head",
        # Pictures.
        "label": "a name",
        "window": 1,
        "references": {"floor": 0.1},
        "top": 1.0,
        "reach": 2.0,
        "losses": np.array([0.1, 0.5, 2.0]),
        "SweepPictures.x": "step_size",
        "SweepPictures.y": None,
        "SweepPictures.over": "step_size",
        "SweepPictures.dashed": None,
        "plotting.x": np.arange(3.0),
        "curves": np.arange(1.0, 7.0).reshape(2, 3),
        "colour": "black",
        "quantiles": (0.25, 0.75),
        "plotting.starts": np.array([[0.0, 1.0], [1.0, 0.0], [0.3, 0.2]]),
        "target": np.array([0, 0, -1]),
        "plotting.iterations": np.array([1, 2, 3]),
        "plotting.minima": np.ones((1, 2)),
        "norm": LogNorm(1.0, 3.0),
        "number": 2,
        "base": np.array([0.1, 0.2, 0.3]),
        "speed": 0.5,
        "plotting.first": np.arange(3.0),
        "plotting.second": np.arange(4.0),
        "plotting.loss": np.arange(1.0, 13.0).reshape(3, 4),
        "phase.loss": np.ones((2, 2)),
        "line.loss": np.ones((3, 2)),
        "training_curve.loss": np.ones(3),
        "critical_points.points": np.ones((1, 2)),
        "critical_points.kind": ["minimum"],
        "render.kind": "png",
        "depths": [1, 2, 3],
        "new_figure.width": 3.0,
        "height": 2.0,
        "drawing.size": (3.0, 2.0),
        "across": plotting.scale_of([0.1, 0.2]),
        "up": plotting.scale_of([1.0, 2.0]),
        "phase.low": 0.1,
        "phase.high": 2.0,
        "bar": 1.0,
        "levels": {"floor": 0.1},
        "plotting.mean": 0.5,
        "median": 0.3,
        "training_curve.iteration": np.arange(3),
        "scale_of.values": [0.1, 0.2, 0.3],
        "critical_points.scale": 1.0,
        # Images.
        "split": "train",
        "images.size": None,
        "omniglot.size": 4,
        "mini_imagenet.size": 4,
        "cifar_fs.size": 4,
        "image_folder.size": None,
        "images.colour": "rgb",
        "download": False,
        "published_split.name": "cifar-fs",
    }


# What a message calls an argument, where that is clearer than its name.
SYNONYMS = {"open_store(path": "store", "open_store(verify": "store"}
SYNONYMS |= {  # how many axes data have
    f"{kind}.check_axes(task_axes": "must have"
    for kind in (
        "BinaryMoments",
        "BinaryPoints",
        "ClassPoints",
        "RegressionMoments",
        "RegressionPoints",
    )
}

# A loss is named by what is wrong in it.
SYNONYMS |= {"meta_train(loss": "rule", "surface(loss": "rule", "joint(loss": "rule"}
SYNONYMS |= {f"{rule}.step(loss": "rule" for rule in ("ANIL", "AlphaMAML", "Proximal")}
SYNONYMS["sweep(over"] = "step_size"  # an axis is named by its field

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


def _twice(leaf: Any) -> Any:
    return np.stack([np.asarray(leaf)] * 2)


def _more_axes(leaf: Any) -> Any:
    return np.asarray(leaf)[..., None]


def _shorter(leaf: Any) -> Any:
    array = np.asarray(leaf)
    return array[:-1] if array.ndim else None


def _as_integers(leaf: Any) -> Any:
    array = np.asarray(leaf)
    return array.astype(int) if array.ndim and array.dtype.kind == "f" else None


# A good value made wrong in its arrays: of another shape, of another type.
DISTORTED: dict[str, Callable[[Any], Any]] = {
    "twice": _twice,
    "an axis more": _more_axes,
    "one row less": _shorter,
    "as integers": _as_integers,
}


def bad(how: str, good: Any) -> Any:
    """The bad value of that name; None where a distortion has nothing to change."""
    if how in BAD:
        return BAD[how]
    distort = DISTORTED[how]
    if isinstance(good, jax.Array | np.ndarray | float) and not isinstance(good, bool):
        return None if _is_key(good) else distort(good)
    leaves, structure = jax.tree.flatten(good)
    if not leaves or any(callable(leaf) or _is_key(leaf) for leaf in leaves):
        return None
    if not isinstance(leaves[-1], jax.Array | np.ndarray | float):
        return None
    last = distort(leaves[-1])
    return None if last is None else jax.tree.unflatten(structure, [*leaves[:-1], last])


def _is_key(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)


# What may be given otherwise and leave the result as it is, callable by callable, so that a new one
# is attacked. Why it may:
MAY_CHANGE_NOTHING = {
    # Only the truth of the batch is distorted, which losses do not see.
    *("SampledLoss.on.batch", "batch_polynomial.batch", "shallow_fixed_point.batch"),
    # Memory is traded for time.
    *(f"closed_form.{name}.remat" for name in ("adapt", "outer_grad", "outer_loss", "task_losses")),
    *(f"autodiff.{name}.remat" for name in ("adapt", "outer_grad", "outer_loss", "task_losses")),
    *("closed_form.outer_value_and_grad.remat", "autodiff.outer_value_and_grad.remat"),
    "ANIL.adapt.remat",
    # Of these parameters the shapes count, or not even those.
    *("MAML.identity.params", "ANIL.identity.params", "AlphaMAML.identity.params"),
    *("Reptile.identity.params", "make_rule.params"),
    # Of the tasks the shape of the inputs counts.
    *("MLP.init.tasks", "LinNet.init.tasks", "Convolutional.init.tasks", "DeepLinear.init.tasks"),
    # The loss serves rules that change with it.
    *("ANIL.next.loss", "AlphaMAML.next.loss", "GBML.next.loss", "MetaKFO.next.loss"),
    *("MetaSGD.next.loss", "NonlinearKFO.next.loss"),
    # Bounds that decide nothing at the good values.
    *("basins.radius", "classify_point.tolerance", "testing.check_outer_loss.tolerance"),
    "classify_point.params",  # a loss of as many numbers in any shape
    # None is what the good value says.
    *("DeepLinear.shape.dim", "NonlinearKFO.identity.key", "SampledLoss.for_training.noiseless"),
    # The images are equal, of the size that is asked for, and all there.
    "ImageClasses.select.classes",
    *("images.cifar_fs.size", "images.mini_imagenet.size", "images.omniglot.size"),
    "images.omniglot.download",
    # A number in a row of one, or points of one number each in another shape.
    *("MLP.__call__.x", "LinNet.__call__.x", "plotting.basin_shade.speed"),
}

# What may be an array of another shape, or of any number of rows, callable by callable. Why it may:
ANY_SHAPE = {
    # Any number of points, of any shape; targets have an axis of outputs, or none.
    *("BinaryPoints.x", "BinaryPoints.y", "ClassPoints.x", "ClassPoints.y"),
    *("RegressionPoints.x", "RegressionPoints.y", "BatchLoss.model.x", "DeepLinear.__call__.x"),
    *("Convolutional.__call__.x", "LinNet.__call__.x", "MLP.__call__.x", "predict.x"),
    # Any number of tasks.
    *("BinaryClassification.population.mean", "BinaryClassification.sample_support.truth"),
    *("LinearRegression.population.theta", "LinearRegression.sample_support.truth"),
    "LinearRegression.theta_of.z",
    "LinearRegression.theta_mean",  # one number for every coordinate, or one each
    # Any images, and any number of classes.
    *("ImageClasses.images", "ImageTasks.images"),
    # Any number of starts, rows, curves, bars.
    *("basins.starts", "subspace_distance.truth", "Tail.plot.losses", "plotting.spread.losses"),
    *("plotting.band.curves", "plotting.line.loss", "plotting.training_curve.loss"),
    *("plotting.basin_shade.base", "plotting.basin_shade.speed", "surface.extent"),
    *("plotting.depth_colours.depths", "plotting.scale_of.values", "save_run.loss"),
}
