"""toylin: a workbench for gradient-based meta-learning on shallow and deep linear models."""

# Tasks, models and rules
from toylin import autodiff, closed_form
from toylin.errors import NoClosedFormError

# Outer losses, meta-training and surfaces
from toylin.losses import BatchLoss, ExactLoss, SampledLoss, polynomial_loss, sampled_loss
from toylin.model import end_to_end, init, predict
from toylin.nodes import quadrature_batch
from toylin.optima import bayes_loss, shallow_floor, shallow_optimum
from toylin.rules import MAML
from toylin.surfaces import Surface, surface
from toylin.sweeps import Estimate, Model, Optimizer, StoreError, open_store, sweep
from toylin.tail_diagnostics import Tail, TailWarning, tails
from toylin.tasks import BinaryClassification, LinearRegression
from toylin.training import Run, meta_train
