"""Laws of tasks, what a task shows, batches of them, and nodes that stand for a whole law."""

from toylin.tasks._batch import Batch, beyond_floats_infinite, mean_loss, weighted_mean
from toylin.tasks._binary_classification import BinaryClassification
from toylin.tasks._binary_data import BinaryMargins, BinaryMoments, BinaryPoints
from toylin.tasks._class_data import ClassPoints
from toylin.tasks._classification import Classification
from toylin.tasks._covariance import (
    Covariance,
    covariance_matrix,
    covariance_root,
    semidefinite_root,
)
from toylin.tasks._data import Data
from toylin.tasks._image_classes import ImageClasses
from toylin.tasks._image_tasks import ImageTasks
from toylin.tasks._law import TaskLaw, check_law, check_sizes, sample_as
from toylin.tasks._linear_regression import (
    LinearRegression,
    check_one_output,
    check_regression,
)
from toylin.tasks._minibatches import FreshMinibatches, Minibatches
from toylin.tasks._nodes import (
    MAX_IN_ONE,
    MAX_NODES,
    check_nodes,
    count_nodes,
    estimate_and_posterior,
    loss_degrees,
    quadrature_batch,
    too_many_nodes,
)
from toylin.tasks._points import Points
from toylin.tasks._registry import LAWS, NamedLaw, law_options
from toylin.tasks._regression_data import RegressionMoments, RegressionPoints

__all__ = [
    "LAWS",
    "MAX_IN_ONE",
    "MAX_NODES",
    "Batch",
    "BinaryClassification",
    "BinaryMargins",
    "BinaryMoments",
    "BinaryPoints",
    "ClassPoints",
    "Classification",
    "Covariance",
    "Data",
    "FreshMinibatches",
    "ImageClasses",
    "ImageTasks",
    "LinearRegression",
    "Minibatches",
    "NamedLaw",
    "Points",
    "RegressionMoments",
    "RegressionPoints",
    "TaskLaw",
    "beyond_floats_infinite",
    "check_law",
    "check_nodes",
    "check_one_output",
    "check_regression",
    "check_sizes",
    "count_nodes",
    "covariance_matrix",
    "covariance_root",
    "estimate_and_posterior",
    "law_options",
    "loss_degrees",
    "mean_loss",
    "quadrature_batch",
    "sample_as",
    "semidefinite_root",
    "too_many_nodes",
    "weighted_mean",
]
