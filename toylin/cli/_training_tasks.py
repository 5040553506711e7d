"""The flags of ``toylin train`` that state tasks and a model, and what they state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import click
import jax
import jax.numpy as jnp

from toylin import images
from toylin.cli._common import COUNT, FINITE, PATH_AS_SAID, POSITIVE, SHOTS, together
from toylin.models import MAX_DEPTH, MLP, Convolutional, DeepLinear, predict
from toylin.tasks import LAWS, ImageClasses, ImageTasks, NamedLaw, TaskLaw, law_options

COLLECTIONS: dict[str, Callable[..., ImageClasses]] = {
    "omniglot": images.omniglot,
    "mini-imagenet": images.mini_imagenet,
    "cifar-fs": images.cifar_fs,
}
_HIDDEN = 64  # the hidden width on images, where nothing else is said


class _Widths(click.ParamType):
    """Integers separated by commas."""

    name = "D0,D1,...,DL"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        parts = str(value).split(",")
        good = all(p.strip().isdecimal() and 0 < int(p) < 2**31 for p in parts)
        if not (good and 1 < len(parts) <= MAX_DEPTH + 1):
            self.fail(
                f"must be 2 to {MAX_DEPTH + 1} positive integers separated by commas, got {value!r}"
            )
        return tuple(map(int, parts))


def _option(name: str, text: str, **more: Any) -> Any:
    return click.option(name, default=None, help=text, **more)


_OPTIONS = (
    click.option(
        "--tasks",
        default="regression",
        show_default=True,
        help="Which tasks.",
        type=click.Choice([*LAWS, *COLLECTIONS]),
    ),
    _option("--depth", "Layers of the model, 2 by default; 1 is shallow.",
            type=click.IntRange(1, MAX_DEPTH)),
    _option("--dim", "Toy tasks: input dimension; 1 by default.",
            type=COUNT),
    _option("--widths", "All widths of the model, inputs first, in place of --depth and --dim.",
            type=_Widths()),
    click.option("--model", default="linear", show_default=True, help="The deep linear model, or a "
                 "network: a perceptron, or the field's convolutional one.",
                 type=click.Choice(["linear", "mlp", "convolutional"])),
    _option("--width", "The width of hidden layers, or filters of a layer: 64 on images, else the "
            "inputs' dimension.", type=COUNT),
    _option("--shots", "Support points a task (of each class, where there are --ways), or the word "
            "population; 10 by default, 5 on images.", type=SHOTS),
    _option("--theta-mean", "Regression: mean of theta's entries; 0 by default.", type=FINITE),
    _option("--theta-cov", "Regression: variance of theta's entries; 1 by default.",
            type=POSITIVE),
    _option("--x-cov", "Toy tasks: variance of x's entries, of each class; 1 by default.",
            type=POSITIVE),
    _option("--noise-std", "Regression: label noise; none by default.", type=FINITE),
    _option("--ways", "Classes of a task: 3 by default with --tasks classification, 5 on images.",
            type=click.IntRange(2, 2**31 - 1)),
    _option("--num-queries", "Query points a task (of each class, where there are --ways); 10 by "
            "default, 15 on images.", type=COUNT),
    _option("--root", "Images: the folder that holds them.", type=PATH_AS_SAID),
    _option("--size", "Images: the side that they are brought to; as published by default.",
            type=click.IntRange(1, 4096)),
    click.option("--rotations", is_flag=True, help="Images: train on each class turned by 0, 90, "
                 "180 and 270 degrees, as four classes."),
)  # fmt: skip
# What a flag is called where a law takes it.
_FIELDS = {name: name for name in ("dim", "theta_mean", "theta_cov", "x_cov", "noise_std")}
_FIELDS["ways"] = "classes"
_OF_IMAGES = ("ways", "root", "size", "rotations")
# Which kinds of tasks a flag is for.
_FOR = {
    flag: (
        *(law for law in LAWS if _FIELDS.get(flag) in law_options(law)),
        *(COLLECTIONS if flag in _OF_IMAGES else ()),
    )
    for flag in {**_FIELDS, **dict.fromkeys(_OF_IMAGES)}
}


class Training(NamedTuple):
    """What is trained on what.

    Attributes:
        tasks: the law of tasks to train on.
        unseen: the law of tasks to test on; None where training never sees a task twice.
        model: a function ``model(params, x)``.
        start: makes its random start of a key.
    """

    tasks: TaskLaw
    unseen: TaskLaw | None
    model: Any
    start: Callable[[jax.Array], Any]


task_options = together(_OPTIONS)


def complete(settings: dict[str, Any], given: set[str]) -> dict[str, Any]:
    """The settings with the defaults that depend on the kind of tasks.

    Args:
        settings: by name, None where nothing was said.
        given: which flags the user gave.

    Raises:
        click.UsageError: a flag that is not for these tasks, or one that is needed.
    """
    kind = settings["tasks"]
    on_images = kind in COLLECTIONS
    for name, kinds in _FOR.items():
        if name in given and kind not in kinds:
            raise click.UsageError(
                f"--{name.replace('_', '-')} is for --tasks {' or '.join(kinds)}, got {kind}"
            )
    if settings["model"] != "linear":
        if "widths" in given:
            raise click.UsageError("--widths is for --model linear: say --depth and --width")
        if settings["model"] == "convolutional" and not on_images:
            raise click.UsageError(f"--model convolutional is for images, got --tasks {kind}")
    for name in {"depth", "dim", "width"} & given:
        if "widths" in given:
            raise click.UsageError(f"--{name} is said by --widths too: give one of them")
    if on_images and settings["root"] is None:
        raise click.UsageError(f"--root must be the folder that holds {kind}'s images")
    defaults = {"shots": 10, "num_queries": 10, "num_tasks": 32, "learning_rate": 0.01}
    if on_images:
        defaults = {"shots": 5, "num_queries": 15, "num_tasks": 16, "learning_rate": 0.001}
        defaults |= {"ways": 5, "test_tasks": 600}
    if kind == "classification":
        defaults["ways"] = 3
    defaults["depth"] = len(settings["widths"]) - 1 if settings["widths"] else 2
    settings = settings | {n: v for n, v in defaults.items() if n not in given}
    if settings["ways"] is not None and settings["shots"] is None:
        raise click.UsageError("--shots must be a number where there are --ways")
    return settings


def toy_tasks(settings: dict[str, Any]) -> NamedLaw:
    """The law of toy tasks that a run's settings state.

    Raises:
        KeyError: the settings are not those of toy tasks.
    """
    law, widths = LAWS[settings["tasks"]], settings.get("widths")
    said = {f: settings[n] for n, f in _FIELDS.items() if settings.get(n) is not None}
    dim = widths[0] if widths else said.get("dim", 1)
    return law(**said | {"dim": dim, "shots": settings["shots"]})


def training_of(settings: dict[str, Any]) -> Training:
    """Tasks and model of completed settings; images are read.

    Raises:
        click.UsageError: widths that do not fit the tasks.
    """
    kind, unseen = settings["tasks"], None
    tasks: NamedLaw | ImageTasks
    if kind in LAWS:
        tasks = toy_tasks(settings)
    else:
        tasks, unseen = (_image_tasks(settings, split) for split in ("train", "test"))
    width = settings["width"] or (_HIDDEN if kind in COLLECTIONS else int(tasks.dim or 1))
    depth, dtype = settings["depth"], jnp.float32 if kind in COLLECTIONS else None
    networks: dict[str, Callable[[], Any]] = {
        "linear": lambda: DeepLinear(depth, width, settings["widths"]),
        "mlp": lambda: MLP((width,) * (depth - 1)),
        "convolutional": lambda: Convolutional(depth, width),
    }
    network = networks[settings["model"]]()
    ends = tasks.dim, tasks.outputs
    if (widths := settings["widths"]) and (widths[0], widths[-1]) != ends:
        raise click.UsageError(
            f"--widths must start with {ends[0]}, the numbers of an input, and end with "
            f"{ends[1]}, the outputs, got {','.join(map(str, widths))}"
        )
    model = predict if settings["model"] == "linear" else network
    return Training(tasks, unseen, model, lambda key: network.init(key, tasks, dtype))


def _image_tasks(settings: dict[str, Any], split: str) -> ImageTasks:
    size = {} if settings["size"] is None else {"size": settings["size"]}
    classes = COLLECTIONS[settings["tasks"]](settings["root"], split, **size)
    if settings["rotations"] and split == "train":
        classes = classes.with_rotations()
    if settings["model"] == "linear":
        classes = classes.flat()
    return ImageTasks(classes, settings["ways"], settings["shots"])
