"""Meta-Curvature: a learned matrix along every axis of every gradient."""

from __future__ import annotations

import jax

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array
from toylin.models import Params
from toylin.rules._base import Rule, check_step
from toylin.rules._factors import Factors, check_factors, check_fit, identities
from toylin.rules._leaves import Shape, matrix_shape, named_shapes


def _factor_shapes(name: str, shape: Shape) -> list[Shape]:
    if len(shape) == 1:
        return [shape]
    return [(n, n) for n in matrix_shape(name, shape)]


def _update(entry: tuple[Array, ...], grad: Array) -> Array:
    if grad.ndim == 1:
        return entry[0] * grad
    if grad.ndim == 2:
        left, right = entry
        return left @ grad @ right
    outputs, inputs, window = entry
    stack = grad.reshape(grad.shape[0], grad.shape[1], -1)
    moved = jax.numpy.einsum("ao,oif,ib,cf->abc", outputs, stack, inputs, window)
    return moved.reshape(grad.shape)


@pytree_dataclass
class MetaCurvature(Rule):
    """Gradient descent with a learned matrix along every axis: W <- W - step_size * L G R.

    Args:
        factors: a tuple of factors for every array of the parameters, leaves. For W of shape
            (m, n) they are (L, R), of m x m and n x n; for a bias of n entries one vector of n,
            which multiplies its gradient; for the kernel of a convolution (out, in, height, width)
            three matrices, of the output channels, the input channels and the positions (height
            times width), each of which multiplies along its axis. ``MetaCurvature.identity(params,
            0.1)`` starts them at the identity, which is MAML.
        step_size: the inner step size alpha, a leaf.
        steps: the number of inner steps T.
        first_order: whether to drop second derivatives from outer gradients.

    Raises:
        ValueError: factors that are no tuples or not finite, or a bad number of steps. When used:
            factors that do not fit the parameters, or parameters that are neither biases nor
            matrices nor kernels.

    Source: Park and Oliva, "Meta-Curvature", NeurIPS 2019, in the conventions of learn2learn.
    """

    factors: Factors
    step_size: float | jax.Array
    steps: int = static_field(default=1)
    first_order: bool = static_field(default=False)

    def __post_init__(self) -> None:
        check_factors(self.factors, (1, 2, 3), "a tuple of one to three factors")
        checks.scalar("step_size", self.step_size)
        self._check_loop()

    @classmethod
    def identity(  # type: ignore[override]
        cls,
        params: Params,
        step_size: float | jax.Array,
        steps: int = 1,
        *,
        first_order: bool = False,
    ) -> MetaCurvature:
        """The rule at its start: identity factors.

        Args:
            params: the parameters that it will adapt, any pytree of arrays.
            step_size: the inner step size alpha.
            steps: the number of inner steps T.
            first_order: whether to drop second derivatives from outer gradients.
        """
        checks.float_leaves("params", params)
        dtypes = [w.dtype for w in jax.tree.leaves(params)]
        return cls(identities(_shapes(params), dtypes), step_size, steps, first_order)

    @property
    def linear(self) -> bool:
        return True

    def check(self, params: Params) -> None:
        check_fit(self.factors, params, _shapes(params))

    def update(self, grads: Params) -> Params:
        check_step(self, grads=grads)
        leaves, structure = jax.tree.flatten(grads)
        updates = [_update(entry, g) for entry, g in zip(self.factors, leaves, strict=True)]
        return jax.tree.unflatten(structure, [self.step_size * u for u in updates])


def _shapes(params: Params) -> list[list[Shape]]:
    return [_factor_shapes(*named) for named in named_shapes(params)]
