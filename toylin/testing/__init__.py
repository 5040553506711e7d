"""Checking a formula of one's own: settings by Hypothesis, a comparison that names the slip.

Needs Hypothesis (``pip install 'toylin[testing]'``), which nothing else in toylin does.
"""

from toylin.testing._check import FormulaReport, WrongFormulaError, check_outer_loss
from toylin.testing._data import binary_points, class_points, regression_points
from toylin.testing._strategies import (
    classifications,
    covariances,
    learned_rules,
    maml_rules,
    numbers,
    params,
    regressions,
)

__all__ = [
    "FormulaReport",
    "WrongFormulaError",
    "binary_points",
    "check_outer_loss",
    "class_points",
    "classifications",
    "covariances",
    "learned_rules",
    "maml_rules",
    "numbers",
    "params",
    "regression_points",
    "regressions",
]
