"""toylin: a workbench for gradient-based meta-learning on shallow and deep linear models."""

# Tasks, models and rules
from toylin.data import Batch, BinaryMoments, BinaryPoints, RegressionMoments, RegressionPoints
from toylin.model import end_to_end, init, predict
from toylin.rules import MAML
from toylin.sweeps import Estimate, Model, Optimizer, StoreError, open_store, sweep
from toylin.tasks import BinaryClassification, LinearRegression

# isort: split
# The two routes to inner and outer losses, and exact quadrature
from toylin import autodiff, closed_form
from toylin.derivation import Derivation, derive
from toylin.errors import NoClosedFormError
from toylin.nodes import quadrature_batch

# isort: split
# Outer losses as objects, meta-training and surfaces
from toylin.losses import BatchLoss, ExactLoss, SampledLoss, polynomial_loss, sampled_loss
from toylin.surfaces import Surface, surface
from toylin.training import Run, meta_train

# isort: split
# What is best possible, and what is typical
from toylin.landscape import CriticalPoints, critical_points
from toylin.optima import bayes_loss, shallow_floor, shallow_optimum
from toylin.tail_diagnostics import Tail, TailWarning, tails
