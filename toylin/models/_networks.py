"""Networks for images, in pure JAX: a perceptron and the field's convolutional network."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks, flat_draws
from toylin._internal.dtypes import float_dtype
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Float, PRNGKeyArray

Layer = dict[str, Array]
_EPSILON = 1e-5  # added to variances, as is usual


@pytree_dataclass
class MLP:
    """A perceptron with biases and ReLU: a function ``model(params, x)`` that knows its start.

    Its parameters are a tuple of layers {"weight": (out, in), "bias": (out,)}, the head last. An
    input of several axes, such as an image, is read as one vector.

    Args:
        hidden: the widths of the hidden layers; none at all is softmax regression with biases.

    Raises:
        ValueError: a width that is no positive integer.

    >>> import toylin as tl
    >>> params = MLP(hidden=(8,)).init(jax.random.key(0), tl.Classification(dim=2, classes=3))
    >>> [layer["weight"].shape for layer in params]
    [(8, 2), (3, 8)]
    """

    hidden: tuple[int, ...] = static_field(default=(64,))

    def __post_init__(self) -> None:
        if not isinstance(self.hidden, tuple | list):
            raise ValueError(f"hidden must be a tuple of widths, got {self.hidden!r}")
        for width in self.hidden:
            checks.integer("every entry of hidden", width, minimum=1)
        object.__setattr__(self, "hidden", tuple(self.hidden))

    def init(
        self, key: PRNGKeyArray, tasks: Any, dtype: DTypeLike | None = None
    ) -> tuple[Layer, ...]:
        """A random start for these tasks: weights of variance 2 / fan-in (He), biases zero."""
        checks.key("key", key)
        widths = (int(np.prod(input_shape(tasks))), *self.hidden, outputs_of(tasks))
        keys = jax.random.split(key, len(widths) - 1)
        return tuple(
            _dense(k, a, b, float_dtype(dtype))
            for k, (a, b) in zip(keys, pairwise(widths), strict=True)
        )

    def __call__(self, params: tuple[Layer, ...], x: Float[Array, "points ..."]) -> Array:
        """The outputs, a row a point; one output is a number."""
        _check_layers(params, len(self.hidden) + 1)
        check_inputs(x)
        x = x.reshape(len(x), -1)
        _check_width(params[0], x)
        for layer in params[:-1]:
            x = jax.nn.relu(_apply(layer, x))
        return _head(params[-1], x)


@pytree_dataclass
class Convolutional:
    """The field's convolutional network: a function ``model(params, x)`` that knows its start.

    ``depth`` blocks of a 3 x 3 convolution, normalisation by the mean and variance of the points at
    hand (as MAML's authors have it: support and query each by their own), scale and shift, ReLU,
    and the maximum of 2 x 2 pixels as long as there are two; then a linear head. Its parameters are
    a tuple of blocks {"kernel": (out, in, 3, 3), "scale": (out,), "shift": (out,)} and the head
    {"weight": (out, in), "bias": (out,)}, last.

    Args:
        depth: the number of blocks.
        width: the number of filters of each.

    Raises:
        ValueError: a size that is no positive integer.

    >>> import toylin as tl
    >>> tasks = tl.ImageTasks(np.zeros((9, 20, 28, 28, 1), np.uint8), ways=5, shots=5)
    >>> params = Convolutional(depth=4, width=32).init(jax.random.key(0), tasks)
    >>> params[0]["kernel"].shape, params[-1]["weight"].shape
    ((32, 1, 3, 3), (5, 32))
    """

    depth: int = static_field(default=4)
    width: int = static_field(default=64)

    def __post_init__(self) -> None:
        checks.integer("depth", self.depth, minimum=1, maximum=100)
        checks.integer("width", self.width, minimum=1)

    def init(
        self, key: PRNGKeyArray, tasks: Any, dtype: DTypeLike | None = None
    ) -> tuple[Layer, ...]:
        """A random start: kernels of variance 2 / fan-in (He), scales one, all else zero."""
        checks.key("key", key)
        dtype = float_dtype(dtype)
        shape = input_shape(tasks)
        if len(shape) != 3:
            raise ValueError(
                f"tasks must show images of shape (height, width, channels), got inputs of {shape}"
            )
        height, width, channels = shape
        *keys, last = jax.random.split(key, self.depth + 1)
        blocks = [
            _block(k, a, self.width, dtype)
            for k, a in zip(keys, (channels, *[self.width] * (self.depth - 1)), strict=True)
        ]
        for _ in range(self.depth):
            height, width = _halved(height), _halved(width)
        return (*blocks, _dense(last, height * width * self.width, outputs_of(tasks), dtype))

    def __call__(
        self, params: tuple[Layer, ...], x: Float[Array, "points height width channels"]
    ) -> Array:
        """The outputs, a row a point; one output is a number."""
        _check_layers(params, self.depth + 1)
        check_inputs(x, axes=4)
        _check_width(params[0], x)
        for block in params[:-1]:
            x = _pool(jax.nn.relu(_normalise(block, _convolve(block["kernel"], x))))
        return _head(params[-1], x.reshape(len(x), -1))


def input_shape(tasks: Any) -> tuple[int, ...]:
    """The shape of one input of these tasks.

    Raises:
        ValueError: tasks that name neither ``dim`` nor ``images``.
    """
    dim = getattr(tasks, "dim", None)
    if dim is not None:
        return (dim,)
    images = getattr(tasks, "images", None)
    if images is None:
        raise ValueError(f"tasks must name the shape of their inputs, by dim, got {tasks!r}")
    shape: tuple[int, ...] = images.shape
    return shape


def outputs_of(tasks: Any) -> int:
    """How many outputs a model of these tasks has.

    Raises:
        ValueError: tasks that do not say it.
    """
    outputs = getattr(tasks, "outputs", None)
    if outputs is None:
        raise ValueError(f"tasks must name the number of their outputs, got {tasks!r}")
    checks.integer("outputs of tasks", outputs, minimum=1)
    return int(outputs)


def check_inputs(x: Any, axes: int | None = None) -> None:
    """Points in an array, a row each."""
    shape = checks.real("x", x)
    if (
        not hasattr(x, "reshape")
        or not shape
        or 0 in shape
        or (axes is not None and len(shape) != axes)
    ):
        wanted = f"of {axes} axes" if axes else "with a row a point"
        raise ValueError(f"x must be an array {wanted}, got {shape}")


def _check_width(layer: Layer, x: Array) -> None:
    """A first layer that takes inputs of this width, or images of so many channels."""
    first = layer.get("weight", layer.get("kernel"))
    assert first is not None
    if first.shape[1] != x.shape[-1]:
        raise ValueError(
            f"x must have {first.shape[1]} numbers or channels a point, as params take, got shape "
            f"{x.shape}"
        )


def _dense(key: PRNGKeyArray, fan_in: int, fan_out: int, dtype: np.dtype) -> Layer:
    weight = flat_draws.normal(key, (fan_out, fan_in), dtype) * (2 / fan_in) ** 0.5
    return {"weight": weight, "bias": jnp.zeros(fan_out, dtype)}


def _block(key: PRNGKeyArray, channels: int, width: int, dtype: np.dtype) -> Layer:
    kernel = flat_draws.normal(key, (width, channels, 3, 3), dtype) * (2 / (9 * channels)) ** 0.5
    return {
        "kernel": kernel,
        "scale": jnp.ones(width, dtype),
        "shift": jnp.zeros(width, dtype),
    }


def _check_layers(params: Any, number: int) -> None:
    if not isinstance(params, tuple | list) or len(params) != number:
        raise ValueError(
            f"params must be a tuple of {number} layers, as init makes them, got "
            f"{len(params) if isinstance(params, tuple | list) else type(params).__name__}"
        )
    checks.float_leaves("params", params)
    axes = [[np.ndim(leaf) for leaf in jax.tree.leaves(layer)] for layer in params]
    if not all(isinstance(layer, dict) for layer in params) or axes != [
        [4, 1, 1] if "kernel" in layer else [1, 2] for layer in params
    ]:
        raise ValueError(
            "params must hold, as init makes them, a dict a layer, of arrays of one to four axes, "
            f"got {jax.tree.map(jnp.shape, params)}"
        )


def _apply(layer: Layer, x: Array) -> Array:
    return x @ layer["weight"].T + layer["bias"]


def _head(layer: Layer, x: Array) -> Array:
    """A row a point or, for one output, a number."""
    outputs = _apply(layer, x)
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs


def _convolve(kernel: Float[Array, "out in 3 3"], x: Array) -> Array:
    """The convolution with zeros around, as one product of matrices.

    Every task has kernels of its own after adaptation. A convolution mapped over those becomes one
    in groups, which is slow on CPU; products of matrices stay fast.
    """
    height, width = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    by_pixel = jnp.concatenate(patches, axis=-1)
    matrix = jnp.transpose(kernel, (2, 3, 1, 0)).reshape(-1, kernel.shape[0])
    return by_pixel @ matrix


def _normalise(block: Layer, x: Array) -> Array:
    mean = jnp.mean(x, axis=(0, 1, 2))
    away = x - mean
    variance = jnp.mean(away**2, axis=(0, 1, 2))
    return away * (block["scale"] / jnp.sqrt(variance + _EPSILON)) + block["shift"]


def _halved(side: int) -> int:
    return side // 2 if side > 1 else side


def _pool(x: Array) -> Array:
    """The maximum of 2 x 2 pixels; an odd row or column at the end is left out.

    By comparisons alone: the gradient of ``max`` asks which numbers equal it, and where the
    compiler computes a number twice, with another rounding, none does (NaN was seen).
    """
    for axis in (1, 2):
        even = 2 * (x.shape[axis] // 2)
        if even:
            first, second = (
                jax.lax.slice_in_dim(x, start, even, stride=2, axis=axis) for start in (0, 1)
            )
            x = jnp.where(first >= second, first, second)
    return x
