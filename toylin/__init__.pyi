# Models
from .models import MLP as MLP
from .models import Convolutional as Convolutional
from .models import DeepLinear as DeepLinear
from .models import LinNet as LinNet
from .models import add_linear_layers as add_linear_layers
from .models import end_to_end as end_to_end
from .models import init as init
from .models import predict as predict

# Laws of tasks, what a task shows, and exact nodes
from .tasks import Batch as Batch
from .tasks import BinaryClassification as BinaryClassification
from .tasks import BinaryMoments as BinaryMoments
from .tasks import BinaryPoints as BinaryPoints
from .tasks import Classification as Classification
from .tasks import ClassPoints as ClassPoints
from .tasks import FreshMinibatches as FreshMinibatches
from .tasks import ImageClasses as ImageClasses
from .tasks import ImageTasks as ImageTasks
from .tasks import LinearRegression as LinearRegression
from .tasks import Minibatches as Minibatches
from .tasks import RegressionMoments as RegressionMoments
from .tasks import RegressionPoints as RegressionPoints
from .tasks import quadrature_batch as quadrature_batch

# Images from their published layouts, or from any folder
from . import images as images

# Adaptation rules, and how to write one
from .rules import ANIL as ANIL
from .rules import FOMAML as FOMAML
from .rules import GBML as GBML
from .rules import MAML as MAML
from .rules import AlphaMAML as AlphaMAML
from .rules import MetaCurvature as MetaCurvature
from .rules import MetaKFO as MetaKFO
from .rules import MetaSGD as MetaSGD
from .rules import NonlinearKFO as NonlinearKFO
from .rules import Proximal as Proximal
from .rules import Reptile as Reptile
from .rules import Rule as Rule
from .rules import make_rule as make_rule
from ._internal.pytree import pytree_dataclass as pytree_dataclass
from ._internal.pytree import static_field as static_field

# The two routes to inner and outer losses
from . import autodiff as autodiff
from . import closed_form as closed_form
from ._internal.errors import NoClosedFormError as NoClosedFormError

# Outer losses as objects, and meta-training
from .training import BatchLoss as BatchLoss
from .training import ExactLoss as ExactLoss
from .training import Optimizer as Optimizer
from .training import Run as Run
from .training import SampledLoss as SampledLoss
from .training import SavedRun as SavedRun
from .training import joint as joint
from .training import load_run as load_run
from .training import meta_train as meta_train
from .training import batch_polynomial as batch_polynomial
from .training import save_run as save_run
from .training import separate as separate

# The landscape of a loss
from .landscape import CriticalPoints as CriticalPoints
from .landscape import Surface as Surface
from .landscape import basins as basins
from .landscape import classify_point as classify_point
from .landscape import find_bifurcations as find_bifurcations
from .landscape import known_minimum as known_minimum
from .landscape import search_critical_points as search_critical_points
from .landscape import solve_critical_points as solve_critical_points
from .landscape import surface as surface

# What is best possible, what is typical, what is an estimate
from .limits import Estimate as Estimate
from .limits import Evaluation as Evaluation
from .limits import Tail as Tail
from .limits import TailWarning as TailWarning
from .limits import bayes_loss as bayes_loss
from .limits import deep_floor as deep_floor
from .limits import deep_optimum as deep_optimum
from .limits import estimate as estimate
from .limits import estimate_value_and_grad as estimate_value_and_grad
from .limits import evaluate as evaluate
from .limits import reference_losses as reference_losses
from .limits import shallow_fixed_point as shallow_fixed_point
from .limits import shallow_floor as shallow_floor
from .limits import shallow_optimum as shallow_optimum
from .limits import tails as tails
from .limits import zero_layer_floor as zero_layer_floor
from .limits import zero_layer_optimum as zero_layer_optimum

# What depth does to a step
from .depth import BestLayers as BestLayers
from .depth import BestPreconditioner as BestPreconditioner
from .depth import best_layers as best_layers
from .depth import best_preconditioner as best_preconditioner
from .depth import imbalance as imbalance
from .depth import induced_preconditioner as induced_preconditioner
from .depth import matrix_angle as matrix_angle
from .depth import step_departure as step_departure
from .depth import subspace_distance as subspace_distance

# Exact arithmetic and derivations
from . import symbolic as symbolic
from .symbolic import Derivation as Derivation
from .symbolic import derive as derive

# Whether the routes agree
from .checking import RoutesReport as RoutesReport
from .checking import check_routes as check_routes

# Sweeps
from .sweeps import StoreError as StoreError
from .sweeps import SweepCost as SweepCost
from .sweeps import open_store as open_store
from .sweeps import sweep as sweep

# Pictures
from . import plotting as plotting

__version__: str
__all__: list[str]
