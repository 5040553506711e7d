"""Meta-training: outer losses as objects, the loop that minimises them, runs on disk."""

from toylin.closed_form._batch_polynomial import BatchPolynomial, polynomial_loss
from toylin.training._joint import JointLoss, JointSampledLoss, joint, separate
from toylin.training._losses import (
    BatchLoss,
    ExactLoss,
    SampledLoss,
)
from toylin.training._meta_train import Run, meta_train
from toylin.training._optimizer import Optimizer
from toylin.training._saved_runs import SavedRun, load_run, save_run

__all__ = [
    "BatchLoss",
    "BatchPolynomial",
    "ExactLoss",
    "JointLoss",
    "JointSampledLoss",
    "Optimizer",
    "Run",
    "SampledLoss",
    "SavedRun",
    "joint",
    "load_run",
    "meta_train",
    "polynomial_loss",
    "save_run",
    "separate",
]
