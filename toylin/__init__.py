"""toylin: a workbench for gradient-based meta-learning on shallow and deep linear models."""

# Tasks, models and rules
from toylin import autodiff, closed_form
from toylin.basins import basins
from toylin.critical_points import (
    classify,
    find_bifurcations,
    minimum,
    solve_critical_points,
)
from toylin.errors import NoClosedFormError
from toylin.estimates import Estimate, estimate

# Outer losses, meta-training and surfaces
from toylin.geometry import imbalance, induced_preconditioner, step_departure
from toylin.losses import BatchLoss, ExactLoss, SampledLoss, polynomial_loss, sampled_loss
from toylin.model import end_to_end, init, predict
from toylin.nodes import quadrature_batch
from toylin.optima import (
    bayes_loss,
    deep_floor,
    deep_optimum,
    shallow_floor,
    shallow_optimum,
)
from toylin.rules import MAML
from toylin.surfaces import Surface, surface
from toylin.tail_diagnostics import Tail, TailWarning, tails
from toylin.tasks import BinaryClassification, LinearRegression
from toylin.training import Run, meta_train
