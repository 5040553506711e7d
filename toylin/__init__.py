"""toylin: a workbench for gradient-based meta-learning on shallow and deep linear models."""

# Tasks and models
from toylin.added_layers import add_linear_layers
from toylin.data import (
    Batch,
    BinaryMargins,
    BinaryMoments,
    BinaryPoints,
    RegressionMoments,
    RegressionPoints,
)
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
# The two routes to inner and outer losses, exact quadrature, and the derivation
from toylin import autodiff, closed_form
from toylin.derivation import Derivation, derive
from toylin.errors import NoClosedFormError
from toylin.estimates import Estimate, estimate
from toylin.nodes import quadrature_batch

# isort: split
# Outer losses as objects, meta-training, saved runs and surfaces
from toylin.joint_training import joint, separate
from toylin.losses import BatchLoss, ExactLoss, SampledLoss, polynomial_loss, sampled_loss
from toylin.saved_runs import SavedRun, load_run, save_run
from toylin.surfaces import Surface, surface
from toylin.training import Run, meta_train

# isort: split
# Sweeps over all of these
from toylin.sweeps import Model, Optimizer, StoreError, open_store, sweep

# isort: split
# What is best possible, what is typical, and what the upper layers do
from toylin.basins import basins
from toylin.critical_points import (
    classify,
    find_bifurcations,
    minimum,
    solve_critical_points,
)
from toylin.geometry import imbalance, step_departure
from toylin.landscape import CriticalPoints, search_critical_points
from toylin.optima import (
    bayes_loss,
    deep_floor,
    deep_optimum,
    shallow_floor,
    shallow_optimum,
)
from toylin.preconditioner import angle, induced_preconditioner
from toylin.tail_diagnostics import Tail, TailWarning, tails
