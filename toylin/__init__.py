"""toylin: a workbench for gradient-based meta-learning on shallow and deep linear models."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

# isort: split
# Tasks and models
from toylin.added_layers import add_linear_layers
from toylin.data import Batch, BinaryMoments, BinaryPoints, RegressionMoments, RegressionPoints
from toylin.model import end_to_end, init, predict
from toylin.tasks import BinaryClassification, LinearRegression

# isort: split
# Adaptation rules, and how to write one
from toylin._pytree import pytree_dataclass, static
from toylin.rules import (
    ANIL,
    FOMAML,
    GBML,
    MAML,
    AlphaMAML,
    MetaCurvature,
    MetaKFO,
    MetaSGD,
    NonlinearKFO,
    Reptile,
    Rule,
)

# isort: split
# The two routes to inner and outer losses, and exact quadrature
from toylin import autodiff, closed_form
from toylin.errors import NoClosedFormError
from toylin.nodes import quadrature_batch

# isort: split
# Outer losses as objects, meta-training and surfaces
from toylin.losses import BatchLoss, ExactLoss, SampledLoss, polynomial_loss, sampled_loss
from toylin.surfaces import Surface, surface
from toylin.training import Run, meta_train

# isort: split
# What follows is loaded when it is first used, so that starting stays quick.
if _TYPE_CHECKING:
    # The derivation, estimates with a standard error
    from toylin.derivation import Derivation, derive
    from toylin.estimates import Estimate, estimate

    # isort: split
    # Parameters and rule trained together, saved runs, and sweeps over everything
    from toylin.joint_training import joint, separate
    from toylin.saved_runs import SavedRun, load_run, save_run
    from toylin.sweeps import Model, Optimizer, StoreError, open_store, sweep

    # isort: split
    # What is best possible, what is typical, and what the upper layers do
    from toylin.attraction import basins
    from toylin.critical_points import (
        classify,
        find_bifurcations,
        minimum,
        solve_critical_points,
    )
    from toylin.geometry import imbalance, step_departure
    from toylin.landscape import CriticalPoints, search_critical_points
    from toylin.optima import bayes_loss, deep_floor, deep_optimum, shallow_floor, shallow_optimum
    from toylin.preconditioner import angle, induced_preconditioner
    from toylin.tail_diagnostics import Tail, TailWarning, tails

_LATER = {
    "derivation": ("Derivation", "derive"),
    "estimates": ("Estimate", "estimate"),
    "joint_training": ("joint", "separate"),
    "saved_runs": ("SavedRun", "load_run", "save_run"),
    "sweeps": ("Model", "Optimizer", "StoreError", "open_store", "sweep"),
    "attraction": ("basins",),
    "critical_points": ("classify", "find_bifurcations", "minimum", "solve_critical_points"),
    "geometry": ("imbalance", "step_departure"),
    "landscape": ("CriticalPoints", "search_critical_points"),
    "optima": ("bayes_loss", "deep_floor", "deep_optimum", "shallow_floor", "shallow_optimum"),
    "preconditioner": ("angle", "induced_preconditioner"),
    "tail_diagnostics": ("Tail", "TailWarning", "tails"),
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'toylin' has no attribute {name!r}")
    value = getattr(_import_module(f"toylin.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
