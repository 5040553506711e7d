"""Meta-Curvature and Meta-KFO: a learned matrix on either side of every layer's gradient."""

from __future__ import annotations

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static
from toylin._internal.shapes import Array
from toylin.models import Params
from toylin.rules._base import Loss, Rule, check_finite, check_layers, descend_field

Factors: TypeAlias = tuple[tuple[Array, Array], ...]


def _check_factors(factors: Factors) -> None:
    if not isinstance(factors, tuple) or any(
        not isinstance(pair, tuple) or len(pair) != 2 for pair in factors
    ):
        raise ValueError(
            "factors must be a tuple of pairs (left, right), one a layer; "
            "the classmethod identity makes one"
        )
    for layer, pair in enumerate(factors, start=1):
        for side, factor in zip(("left", "right"), pair, strict=True):
            check_finite(f"{side} factor of layer {layer}", factor)


def _check_fit(factors: Factors, params: Params) -> None:
    check_layers("factors", factors, params)
    for layer, (w, pair) in enumerate(zip(params, factors, strict=True), start=1):
        for side, factor, width in zip(("left", "right"), pair, np.shape(w), strict=True):
            if np.shape(factor) != (width, width):
                raise ValueError(
                    f"the {side} factor of layer {layer} must have shape ({width}, {width}) to fit "
                    f"W_{layer} of shape {np.shape(w)}, got shape {np.shape(factor)}"
                )


def _identities(params: Params) -> Factors:
    return tuple(
        (jnp.eye(len(w), dtype=w.dtype), jnp.eye(w.shape[1], dtype=w.dtype)) for w in params
    )


@pytree_dataclass
class MetaCurvature(Rule):
    """Gradient descent with a learned matrix on either side: W <- W - step_size * L G R.

    Args:
        factors: a pair (L, R) for every layer, leaves; for W_l of shape (d_l, d_{l-1}), L is
            d_l x d_l and R is d_{l-1} x d_{l-1}. ``MetaCurvature.identity(params, 0.1)`` starts
            them at the identity, which is MAML.
        step_size: the inner step size alpha, a leaf.
        steps: the number of inner steps T.
        first_order: whether to drop second derivatives from outer gradients.

    Raises:
        ValueError: factors that are no pairs or not finite, or a bad number of steps. When used:
            factors that do not fit the layers.

    Source: Park and Oliva, "Meta-Curvature", NeurIPS 2019, for matrices.
    """

    factors: Factors
    step_size: float | jax.Array
    steps: int = static(default=1)
    first_order: bool = static(default=False)

    def __post_init__(self) -> None:
        _check_factors(self.factors)
        checks.scalar("step_size", self.step_size)
        self._check_loop()

    @classmethod
    def identity(
        cls, params: Params, step_size: float, steps: int = 1, first_order: bool = False
    ) -> MetaCurvature:
        """The rule at its start: identity factors."""
        return cls(_identities(params), step_size, steps, first_order)

    @property
    def linear(self) -> bool:
        return True

    def check(self, params: Params) -> None:
        _check_fit(self.factors, params)

    def update(self, grads: Params) -> Params:
        pairs = zip(self.factors, grads, strict=True)
        return tuple(self.step_size * (left @ g @ right) for (left, right), g in pairs)


@pytree_dataclass
class MetaKFO(Rule):
    """Gradient descent with learned Kronecker factors: W <- W - step_size * L'L G R'R.

    In vec form the gradient is preconditioned by R'R kron L'L, a positive semidefinite matrix; with
    ``psd=False`` by R kron L in W <- W - step_size * L G R, which is Meta-Curvature.

    Args:
        factors: a pair (L, R) for every layer, leaves; for W_l of shape (d_l, d_{l-1}), L is
            d_l x d_l and R is d_{l-1} x d_{l-1}. ``MetaKFO.identity`` starts them at the identity,
            which is MAML.
        step_size: the inner step size alpha, a leaf.
        steps: the number of inner steps T.
        first_order: whether to drop second derivatives from outer gradients.
        psd: whether the factors enter as L'L and R'R, or as L and R. There is no default: the two
            learn differently.
        adapt_transform: whether the factors take a plain gradient step too, of the same size,
            before each step after the first: on the support loss, through the step that they made.

    Raises:
        ValueError: factors that are no pairs or not finite, or a bad number of steps. When used:
            factors that do not fit the layers.

    Source: Arnold, Iqbal and Sha, "When MAML Can Adapt Fast and How to Assist When It Cannot",
    AISTATS 2021, section 4.
    """

    factors: Factors
    step_size: float | jax.Array
    steps: int = static(default=1)
    first_order: bool = static(default=False)
    psd: bool = static(kw_only=True)
    adapt_transform: bool = static(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _check_factors(self.factors)
        checks.scalar("step_size", self.step_size)
        self._check_loop()
        checks.instance("psd", self.psd, bool)
        checks.instance("adapt_transform", self.adapt_transform, bool)

    @classmethod
    def identity(
        cls,
        params: Params,
        step_size: float,
        steps: int = 1,
        first_order: bool = False,
        *,
        psd: bool,
        adapt_transform: bool = False,
    ) -> MetaKFO:
        """The rule at its start: identity factors."""
        return cls(
            _identities(params),
            step_size,
            steps,
            first_order,
            psd=psd,
            adapt_transform=adapt_transform,
        )

    @property
    def linear(self) -> bool:
        return not self.adapt_transform or self.steps <= 1

    def check(self, params: Params) -> None:
        _check_fit(self.factors, params)

    def preconditioners(self) -> Factors:
        """The matrices on either side of every layer's gradient, (L'L, R'R) or (L, R)."""
        if not self.psd:
            return self.factors
        return tuple((left.T @ left, right.T @ right) for left, right in self.factors)

    def update(self, grads: Params) -> Params:
        pairs = zip(self.preconditioners(), grads, strict=True)
        return tuple(self.step_size * (left @ g @ right) for (left, right), g in pairs)

    def next(self, params: Params, grads: Params, loss: Loss) -> MetaKFO:
        if not self.adapt_transform:
            return self
        return descend_field(self, "factors", self.step_size, params, grads, loss)
