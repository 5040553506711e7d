"""Non-linear Meta-KFO: a small network on either side of every layer's gradient."""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks, flat_draws
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, PRNGKeyArray
from toylin.models import Params
from toylin.rules._base import Loss, Rule, check_step, descend_field
from toylin.rules._leaves import (
    check_entries,
    check_finite,
    map_matrices,
    matrix_shape,
    named_shapes,
)

Network: TypeAlias = tuple[Array, Array, Array]
Networks: TypeAlias = tuple[tuple[Network, ...], ...]


@pytree_dataclass
class NonlinearKFO(Rule):
    """Gradient descent with a network on either side: W <- W - step_size * right(left(G)).

    ``left`` maps every column of the gradient, ``right`` every row, by
    z -> z + C tanh(B tanh(A z)): two hidden layers beside an identity, without biases, so that a
    zero gradient stays zero. With C = 0 the rule is MAML. Biases and kernels of convolutions are
    seen as matrices, as by ``MetaKFO``.

    Args:
        networks: for every array of the parameters a pair (left, right) of triples (A, B, C),
            leaves; for W of shape (m, n) and h hidden units, left has shapes (h, m), (h, h), (m, h)
            and right the same with n. ``NonlinearKFO.identity`` draws A and B and sets C to zero.
        step_size: the inner step size alpha, a leaf.
        steps: the number of inner steps T.
        first_order: whether to drop second derivatives from outer gradients.
        adapt_transform: whether the networks take a plain gradient step too, of the same size,
            before each step after the first.

    Raises:
        ValueError: networks that are no pairs of triples or not finite, or a bad number of steps.
            When used: networks that do not fit the parameters, or parameters that are neither
            biases nor matrices nor kernels.

    Source: Arnold, Iqbal and Sha, "When MAML Can Adapt Fast and How to Assist When It Cannot",
    AISTATS 2021, whose larger experiments use such networks. The activation, the missing biases
    and the path around the network are our choices.
    """

    networks: Networks
    step_size: float | jax.Array
    steps: int = static_field(default=1)
    first_order: bool = static_field(default=False)
    adapt_transform: bool = static_field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        checks.scalar("step_size", self.step_size)
        self._check_loop()
        checks.flag("adapt_transform", self.adapt_transform)
        checks.instance("networks", self.networks, tuple)
        for index, pair in enumerate(self.networks):
            if not (_has(pair, 2) and all(_has(network, 3) for network in pair)):
                raise ValueError(
                    f"networks[{index}] must be a pair (left, right) of triples (A, B, C); "
                    "NonlinearKFO.identity makes them"
                )
            for matrix in (*pair[0], *pair[1]):
                check_finite(f"networks[{index}]", matrix)

    @classmethod
    def identity(  # type: ignore[override]
        cls,
        params: Params,
        step_size: float | jax.Array,
        steps: int = 1,
        *,
        first_order: bool = False,
        hidden: int = 32,
        adapt_transform: bool = False,
        key: PRNGKeyArray | None = None,
    ) -> NonlinearKFO:
        """The rule at its start, where it is MAML: random hidden layers, zero output layers.

        Args:
            params: the parameters that it will adapt, any pytree of arrays.
            step_size: the inner step size alpha.
            steps: the number of inner steps T.
            first_order: whether to drop second derivatives from outer gradients.
            hidden: units of the hidden layers.
            adapt_transform: whether the networks adapt within a task, too.
            key: draws the hidden layers, which decide how it learns; ``jax.random.key(0)`` if None.
        """
        checks.float_leaves("params", params)
        checks.integer("hidden", hidden, minimum=1)
        if key is not None:
            checks.key("key", key)
        arrays, shapes = jax.tree.leaves(params), named_shapes(params)
        keys = jax.random.split(jax.random.key(0) if key is None else key, (len(arrays), 2))
        networks = tuple(
            tuple(
                _network(k, width, hidden, w.dtype)
                for k, width in zip(pair, matrix_shape(*shape)[-2:], strict=True)
            )
            for pair, w, shape in zip(keys, arrays, shapes, strict=True)
        )
        return cls(networks, step_size, steps, first_order, adapt_transform=adapt_transform)

    def check(self, params: Params) -> None:
        check_entries("networks", self.networks, params)
        for index, ((name, shape), pair) in enumerate(
            zip(named_shapes(params), self.networks, strict=True)
        ):
            widths = matrix_shape(name, shape)[-2:]
            for side, network, width in zip(("left", "right"), pair, widths, strict=True):
                hidden = np.shape(network[0])[0]
                wanted = ((hidden, width), (hidden, hidden), (width, hidden))
                got = tuple(np.shape(m) for m in network)
                if got != wanted:
                    raise ValueError(
                        f"the {side} network of networks[{index}] must have shapes {wanted} to fit "
                        f"{name} of shape {shape}, got shapes {got}"
                    )

    def update(self, grads: Params) -> Params:
        check_step(self, grads=grads)
        return map_matrices(
            lambda pair, g: self.step_size * _both_sides(pair, g), self.networks, grads
        )

    def next(self, params: Params, grads: Params, loss: Loss) -> NonlinearKFO:
        check_step(self, loss, params=params, grads=grads)
        if not self.adapt_transform:
            return self
        return descend_field(self, "networks", self.step_size, params, grads, loss)


def _has(entry: Any, count: int) -> bool:
    return isinstance(entry, tuple | list) and len(entry) == count


def _network(key: PRNGKeyArray, width: int, hidden: int, dtype: np.dtype) -> Network:
    first, second = jax.random.split(key)
    return (
        flat_draws.normal(first, (hidden, width), dtype) / width**0.5,
        flat_draws.normal(second, (hidden, hidden), dtype) / hidden**0.5,
        jnp.zeros((width, hidden), dtype),
    )


def _both_sides(pair: tuple[Network, ...], grad: Array) -> Array:
    left, right = pair
    return _apply(right, _apply(left, grad).mT).mT


def _apply(network: Network, columns: Array) -> Array:
    a, b, c = network
    return columns + c @ jnp.tanh(b @ jnp.tanh(a @ columns))
