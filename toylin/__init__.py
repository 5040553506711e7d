"""toylin: a workbench for gradient-based meta-learning on shallow and deep linear models."""

# Tasks, models and rules
from toylin import autodiff, closed_form
from toylin._pytree import pytree_dataclass, static
from toylin.added_layers import add_linear_layers
from toylin.errors import NoClosedFormError

# Outer losses, meta-training and surfaces
from toylin.joint_training import joint, separate
from toylin.losses import BatchLoss, ExactLoss, SampledLoss, polynomial_loss, sampled_loss
from toylin.model import end_to_end, init, predict
from toylin.nodes import quadrature_batch
from toylin.preconditioner import angle, induced_preconditioner
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
from toylin.saved_runs import SavedRun, load_run, save_run
from toylin.surfaces import Surface, surface
from toylin.tasks import BinaryClassification, LinearRegression
from toylin.training import Run, meta_train
