"""Meta-training: outer losses as objects, the loop that minimises them, runs on disk."""

from toylin.closed_form._batch_polynomial import BatchPolynomial, batch_polynomial
from toylin.training._folder import Ends, differing_settings, load_runs, loss_ends
from toylin.training._joint import JointLoss, JointSampledLoss, joint, separate
from toylin.training._losses import (
    BatchLoss,
    ExactLoss,
    SampledLoss,
)
from toylin.training._meta_train import Run, meta_train
from toylin.training._optimizer import Optimizer
from toylin.training._pictures import plot_together
from toylin.training._saved_runs import SavedRun, load_run, save_run

__all__ = [
    "BatchLoss",
    "BatchPolynomial",
    "Ends",
    "ExactLoss",
    "JointLoss",
    "JointSampledLoss",
    "Optimizer",
    "Run",
    "SampledLoss",
    "SavedRun",
    "batch_polynomial",
    "differing_settings",
    "joint",
    "load_run",
    "load_runs",
    "loss_ends",
    "meta_train",
    "plot_together",
    "save_run",
    "separate",
]
