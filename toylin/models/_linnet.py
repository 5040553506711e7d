"""LinNet: linear layers at the input or the output of any model."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, PRNGKeyArray
from toylin.models._networks import check_inputs, input_shape, outputs_of


@pytree_dataclass
class LinNet:
    """A model with linear layers added, identities at the start: it computes what it did.

    Square layers add no capacity where what they meet is linear; what changes is how gradients
    reach the layers beside them. At the input they mix the last axis of x (of images, the
    channels). For the deep linear model of plain matrices see ``add_linear_layers``.

    Its parameters are {"input": matrices, "model": those of the model, "output": matrices}, the
    lowest matrix first.

    Args:
        model: the model, such as ``MLP()`` or ``Convolutional()``, with ``init``.
        input_layers: how many layers to add at the input.
        output_layers: how many layers to add at the output.

    Raises:
        ValueError: a model without ``init``, or a negative number.

    Source: Arnold, Iqbal and Sha, "When MAML Can Adapt Fast and How to Assist When It Cannot",
    AISTATS 2021.

    >>> import jax, toylin as tl
    >>> tasks, key = tl.Classification(dim=2, classes=3), jax.random.key(0)
    >>> model = LinNet(tl.MLP(hidden=(8,)), output_layers=2)
    >>> params, x = model.init(key, tasks), jnp.ones((5, 2))
    >>> bool((model(params, x) == model.model(params["model"], x)).all())
    True
    """

    model: Any = static_field()
    input_layers: int = static_field(default=0)
    output_layers: int = static_field(default=1)

    def __post_init__(self) -> None:
        if not callable(self.model) or not callable(getattr(self.model, "init", None)):
            raise ValueError(
                "model must be a model with init(key, tasks, dtype), such as MLP(), got "
                f"{self.model!r}"
            )
        checks.integer("input_layers", self.input_layers, minimum=0, maximum=1000)
        checks.integer("output_layers", self.output_layers, minimum=0, maximum=1000)

    def init(self, key: PRNGKeyArray, tasks: Any, dtype: DTypeLike | None = None) -> dict[str, Any]:
        """The model's own start, and identities."""
        params = self.model.init(key, tasks, dtype)
        eye = jnp.eye(outputs_of(tasks), dtype=dtype)
        below = jnp.eye(input_shape(tasks)[-1], dtype=dtype)
        return {
            "input": (below,) * self.input_layers,
            "model": params,
            "output": (eye,) * self.output_layers,
        }

    def __call__(self, params: dict[str, Any], x: Array) -> Array:
        """The outputs, a row a point; one output is a number."""
        checks.float_leaves("params", params)
        if not isinstance(params, dict) or {*params} != {"input", "model", "output"}:
            raise ValueError(
                f"params must be a dict of input, model and output, as init makes it, got "
                f"{params!r}"
            )
        if any(jnp.ndim(w) != 2 for w in (*params["input"], *params["output"])):
            raise ValueError("params must hold matrices in input and output")
        check_inputs(x)
        for w in params["input"]:
            x = x @ w.T
        x = self.model(params["model"], x)
        for w in params["output"]:
            x = x * w[0, 0] if x.ndim == 1 else x @ w.T
        return x
