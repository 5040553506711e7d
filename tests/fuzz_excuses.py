"""What the attack on every public callable leaves alone, callable by callable, and why."""

from __future__ import annotations

from toylin.landscape import Basins
from toylin.sweeps._pictures import SweepPictures

# What functions return, and what is no function of arguments: nobody calls these.
RESULTS = {
    "LOSSES",
    "Scale",
    "BestLayers",
    "BestPreconditioner",
    "CriticalPoints",
    "Derivation",
    "Estimate",
    "Evaluation",
    "FormulaReport",
    "NoClosedFormError",
    "Route",
    "RoutesReport",
    "Rule",
    "Run",
    "SavedRun",
    "StoreError",
    "Surface",
    "SweepCost",
    "Tail",
    "TailWarning",
    "WrongFormulaError",
    "pytree_dataclass",
    "static_field",
}

# Classes whose methods are not attacked: exceptions, colours, what is only inherited from.
NO_METHODS = {"LOSSES", "NoClosedFormError", "Route", "Rule", "StoreError", "TailWarning"}

# Classes that are not exported by name, whose instances are what functions return.
MORE_CLASSES = {"Basins": Basins, "SweepPictures": SweepPictures}

# What is always refused, whatever it is given.
NOT_ATTACKED = {"GBML.identity", "Proximal.update"}

# What a message calls an argument, where that is clearer than its name.
SYNONYMS = {"open_store(path": "store", "open_store(verify": "store"}
SYNONYMS |= {  # how many axes data have
    f"{kind}.check_axes(task_axes": "must have"
    for kind in (
        "BinaryMoments",
        "BinaryPoints",
        "ClassPoints",
        "RegressionMoments",
        "RegressionPoints",
    )
}

# A loss is named by what is wrong in it.
SYNONYMS |= {"meta_train(loss": "rule", "surface(loss": "rule", "joint(loss": "rule"}
SYNONYMS |= {f"{rule}.step(loss": "rule" for rule in ("ANIL", "AlphaMAML", "Proximal")}
SYNONYMS["sweep(over"] = "step_size"  # an axis is named by its field


# What may be given otherwise and leave the result as it is, callable by callable, so that a new one
# is attacked. Why it may:
MAY_CHANGE_NOTHING = {
    # Only the truth of the batch is distorted, which losses do not see.
    *("SampledLoss.on.batch", "batch_polynomial.batch", "shallow_fixed_point.batch"),
    # Memory is traded for time.
    *(f"closed_form.{name}.remat" for name in ("adapt", "outer_grad", "outer_loss", "task_losses")),
    *(f"autodiff.{name}.remat" for name in ("adapt", "outer_grad", "outer_loss", "task_losses")),
    *("closed_form.outer_value_and_grad.remat", "autodiff.outer_value_and_grad.remat"),
    "ANIL.adapt.remat",
    # Of these parameters the shapes count, or not even those.
    *("MAML.identity.params", "ANIL.identity.params", "AlphaMAML.identity.params"),
    *("Reptile.identity.params", "make_rule.params"),
    # Of the tasks the shape of the inputs counts.
    *("MLP.init.tasks", "LinNet.init.tasks", "Convolutional.init.tasks", "DeepLinear.init.tasks"),
    # The loss serves rules that change with it.
    *("ANIL.next.loss", "AlphaMAML.next.loss", "GBML.next.loss", "MetaKFO.next.loss"),
    *("MetaSGD.next.loss", "NonlinearKFO.next.loss"),
    # Bounds that decide nothing at the good values.
    *("basins.radius", "classify_point.tolerance", "testing.check_outer_loss.tolerance"),
    "classify_point.params",  # a loss of as many numbers in any shape
    # None is what the good value says.
    *("DeepLinear.shape.dim", "NonlinearKFO.identity.key", "SampledLoss.for_training.noiseless"),
    # The images are equal, of the size that is asked for, and all there.
    "ImageClasses.select.classes",
    *("images.cifar_fs.size", "images.mini_imagenet.size", "images.omniglot.size"),
    "images.omniglot.download",
    # A number in a row of one, or points of one number each in another shape.
    *("MLP.__call__.x", "LinNet.__call__.x", "plotting.basin_shade.speed"),
}

# What may be an array of another shape, or of any number of rows, callable by callable. Why it may:
ANY_SHAPE = {
    # Any number of points, of any shape; targets have an axis of outputs, or none.
    *("BinaryPoints.x", "BinaryPoints.y", "ClassPoints.x", "ClassPoints.y"),
    *("RegressionPoints.x", "RegressionPoints.y", "BatchLoss.model.x", "DeepLinear.__call__.x"),
    *("Convolutional.__call__.x", "LinNet.__call__.x", "MLP.__call__.x", "predict.x"),
    # Any number of tasks.
    *("BinaryClassification.population.mean", "BinaryClassification.sample_support.truth"),
    *("LinearRegression.population.theta", "LinearRegression.sample_support.truth"),
    "LinearRegression.theta_of.z",
    "LinearRegression.theta_mean",  # one number for every coordinate, or one each
    # Any images, and any number of classes.
    *("ImageClasses.images", "ImageTasks.images"),
    # Any number of starts, rows, curves, bars.
    *("basins.starts", "subspace_distance.truth", "Tail.plot.losses", "plotting.spread.losses"),
    *("plotting.band.curves", "plotting.line.loss", "plotting.training_curve.loss"),
    *("plotting.basin_shade.base", "plotting.basin_shade.speed", "surface.extent"),
    *("plotting.depth_colours.depths", "plotting.scale_of.values", "save_run.loss"),
}
