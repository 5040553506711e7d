"""Adaptation rules: how the gradient of the support loss becomes a step of the parameters."""

from toylin.rules._alpha_maml import AlphaMAML
from toylin.rules._anil import ANIL
from toylin.rules._base import Rule, descend_field, subtract, with_gradient
from toylin.rules._gbml import GBML
from toylin.rules._maml import FOMAML, MAML
from toylin.rules._meta_curvature import MetaCurvature
from toylin.rules._meta_kfo import MetaKFO
from toylin.rules._meta_sgd import MetaSGD
from toylin.rules._nonlinear_kfo import NonlinearKFO
from toylin.rules._problem import (
    as_batch,
    check_batch,
    check_linear,
    check_problem,
    check_rule,
    check_support,
)
from toylin.rules._proximal import Proximal
from toylin.rules._registry import RULES, make_rule, rule_options
from toylin.rules._reptile import Reptile

__all__ = [
    "ANIL",
    "FOMAML",
    "GBML",
    "MAML",
    "RULES",
    "AlphaMAML",
    "MetaCurvature",
    "MetaKFO",
    "MetaSGD",
    "NonlinearKFO",
    "Proximal",
    "Reptile",
    "Rule",
    "as_batch",
    "check_batch",
    "check_linear",
    "check_problem",
    "check_rule",
    "check_support",
    "descend_field",
    "make_rule",
    "rule_options",
    "subtract",
    "with_gradient",
]
