"""The rules by name, and where each starts: at MAML.

``GBML`` has no name here, since its transform is a function; nor has ``Proximal``, which is no MAML
of any step size to start from, and has neither of the settings that commands and sweeps give to
every rule, a step size and a number of steps.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import jax

from toylin._internal import checks
from toylin.models import Params
from toylin.rules._alpha_maml import AlphaMAML
from toylin.rules._anil import ANIL
from toylin.rules._base import Rule
from toylin.rules._maml import MAML
from toylin.rules._meta_curvature import MetaCurvature
from toylin.rules._meta_kfo import MetaKFO
from toylin.rules._meta_sgd import MetaSGD
from toylin.rules._nonlinear_kfo import NonlinearKFO
from toylin.rules._reptile import Reptile

RULES: Mapping[str, type[Rule]] = MappingProxyType(
    {
        "maml": MAML,
        "fomaml": MAML,
        "anil": ANIL,
        "reptile": Reptile,
        "alpha-maml": AlphaMAML,
        "meta-sgd": MetaSGD,
        "meta-curvature": MetaCurvature,
        "meta-kfo": MetaKFO,
        "nonlinear-kfo": NonlinearKFO,
    }
)


def rule_options(name: str) -> tuple[str, ...]:
    """What ``make_rule`` takes for that rule beside parameters, step size and steps.

    Raises:
        ValueError: a name that is none of ``RULES``.
    """
    checks.choice("name", name, RULES)
    found = inspect.signature(RULES[name].identity).parameters.values()
    held = ("first_order",) if name == "fomaml" else ()
    return tuple(p.name for p in found if p.kind is p.KEYWORD_ONLY and p.name not in held)


def make_rule(
    name: str, params: Params, step_size: float | jax.Array, steps: int = 1, **options: Any
) -> Rule:
    """A rule by its name, at the start of its learning, where it is MAML with that step size.

    Args:
        name: "maml", "fomaml", "anil", "reptile", "alpha-maml", "meta-sgd", "meta-curvature",
            "meta-kfo" or "nonlinear-kfo". ``Proximal`` and ``GBML`` do not start at
            MAML of a step size: their classes build them.
        params: the parameters that it will adapt, any pytree of arrays.
        step_size: the inner step size alpha.
        steps: the number of inner steps T.
        options: what the rule of that name takes beside these, as its ``identity`` does:
            ``first_order`` (all but fomaml and reptile); ``layers`` (anil); ``hyper_step_size``
            (alpha-maml); ``per_layer`` and ``per_step`` (meta-sgd); ``psd``, True by default, and
            ``adapt_transform`` (meta-kfo); ``adapt_transform``, ``hidden`` and ``key``
            (nonlinear-kfo).

    Raises:
        ValueError: an unknown name, an option that the rule does not take, or a bad value.

    >>> import jax.numpy as jnp, toylin as tl
    >>> rule = tl.make_rule("meta-kfo", (jnp.ones((1, 2)),), step_size=0.1, psd=False)
    >>> [factor.shape for factor in rule.factors[0]]
    [(1, 1), (2, 2)]
    """
    taken = rule_options(name)
    checks.float_leaves("params", params)
    for option in options:
        if option not in taken:
            raise ValueError(
                f"{name} takes {', '.join(taken) or 'no options'}; got the option {option!r}"
            )
    start: Callable[..., Rule] = RULES[name].identity
    if name == "fomaml":
        start = partial(start, first_order=True)
    return start(params, step_size, steps, **options)
