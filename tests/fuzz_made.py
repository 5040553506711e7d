"""Good values that no two calls may share or that take long to make, and one of each class."""

from __future__ import annotations

import atexit
import io
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from fuzz_values import critical_points_at, good, quadratic
from PIL import Image

import toylin as tl
from toylin import plotting
from toylin.images import published_split


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
