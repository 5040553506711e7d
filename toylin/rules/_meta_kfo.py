"""Meta-KFO: learned Kronecker factors on both sides of every gradient."""

from __future__ import annotations

import jax

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array
from toylin.models import Params
from toylin.rules._base import Loss, Rule, check_step, descend_field
from toylin.rules._factors import Factors, check_factors, check_fit, identities
from toylin.rules._leaves import Shape, map_matrices, matrix_shape, named_shapes

_FEW = 16  # rows for every column, beyond which products by F and F' cost less than F'F


@pytree_dataclass
class MetaKFO(Rule):
    """Gradient descent with learned Kronecker factors: W <- W - step_size * L'L G R'R.

    In vec form the gradient is preconditioned by R'R kron L'L, a positive semidefinite matrix; with
    ``psd=False`` by R kron L in W <- W - step_size * L G R. A bias of n entries is a matrix n x 1;
    the kernel of a convolution is, for every output channel, a matrix (in) x (height width), and
    the same two factors serve all of these.

    Args:
        factors: a pair (L, R) for every array of the parameters, leaves; for W of shape (m, n), L
            is m x m and R is n x n. ``MetaKFO.identity`` starts them at the identity, which is
            MAML.
        step_size: the inner step size alpha, a leaf.
        steps: the number of inner steps T.
        first_order: whether to drop second derivatives from outer gradients.
        psd: whether the factors enter as L'L and R'R, as in learn2learn, or as L and R. The two
            learn differently.
        adapt_transform: whether the factors take a plain gradient step too, of the same size,
            before each step after the first: on the support loss, through the step that they made.

    Raises:
        ValueError: factors that are no pairs or not finite, or a bad number of steps. When used:
            factors that do not fit the parameters, or parameters that are neither biases nor
            matrices nor kernels.

    Source: Arnold, Iqbal and Sha, "When MAML Can Adapt Fast and How to Assist When It Cannot",
    AISTATS 2021, and learn2learn (Arnold et al., 2020), whose conventions these are.

    >>> rule = MetaKFO.identity((jax.numpy.zeros((1, 3)),), step_size=0.1)
    >>> [(left.shape, right.shape) for left, right in rule.factors]
    [((1, 1), (3, 3))]
    """

    factors: Factors
    step_size: float | jax.Array
    steps: int = static_field(default=1)
    first_order: bool = static_field(default=False)
    psd: bool = static_field(default=True, kw_only=True)
    adapt_transform: bool = static_field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_factors(self.factors, (2,), "a pair (left, right)")
        checks.scalar("step_size", self.step_size)
        self._check_loop()
        checks.flag("psd", self.psd)
        checks.flag("adapt_transform", self.adapt_transform)

    @classmethod
    def identity(  # type: ignore[override]
        cls,
        params: Params,
        step_size: float | jax.Array,
        steps: int = 1,
        *,
        first_order: bool = False,
        psd: bool = True,
        adapt_transform: bool = False,
    ) -> MetaKFO:
        """The rule at its start: identity factors.

        Args:
            params: the parameters that it will adapt, any pytree of arrays.
            step_size: the inner step size alpha.
            steps: the number of inner steps T.
            first_order: whether to drop second derivatives from outer gradients.
            psd: whether factors enter as L'L and R'R, or as L and R.
            adapt_transform: whether the factors adapt within a task, too.
        """
        checks.float_leaves("params", params)
        dtypes = [w.dtype for w in jax.tree.leaves(params)]
        factors = identities(_shapes(params), dtypes)
        options = {"psd": psd, "adapt_transform": adapt_transform}
        return cls(factors, step_size, steps, first_order, **options)

    @property
    def linear(self) -> bool:
        return not self.adapt_transform or self.steps <= 1

    def check(self, params: Params) -> None:
        check_fit(self.factors, params, _shapes(params))

    def update(self, grads: Params) -> Params:
        check_step(self, grads=grads)

        def one(pair: tuple[Array, ...], g: Array) -> Array:
            left, right = pair
            if not self.psd:
                return self.step_size * (left @ g @ right)
            return self.step_size * _squared(right, _squared(left, g).mT).mT

        return map_matrices(one, self.factors, grads)

    def next(self, params: Params, grads: Params, loss: Loss) -> MetaKFO:
        check_step(self, loss, params=params, grads=grads)
        if not self.adapt_transform:
            return self
        return descend_field(self, "factors", self.step_size, params, grads, loss)


def _squared(factor: Array, columns: Array) -> Array:
    """F'F times the columns; of few columns in an order that never makes F'F, for many tasks."""
    if _FEW * columns.shape[-1] <= columns.shape[-2]:
        return factor.T @ (factor @ columns)
    return (factor.T @ factor) @ columns


def _shapes(params: Params) -> list[list[Shape]]:
    return [[(n, n) for n in matrix_shape(*named)[-2:]] for named in named_shapes(params)]
