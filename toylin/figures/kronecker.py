"""What one Kronecker product costs against a free preconditioner, and what layers pay back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin.depth import best_layers, best_preconditioner
from toylin.figures._kronecker_panels import draw as draw
from toylin.limits import estimate
from toylin.models import init
from toylin.rules import MAML
from toylin.tasks import LinearRegression
from toylin.training import SampledLoss, meta_train

SETTINGS: dict[str, Any] = {
    "outputs": 6,
    "dim": 6,
    "exponents": [0.0, 0.5, 1.0, 1.0, 1.0, 1.0],
    "anisotropy": [float(x) for x in np.geomspace(1, 1e4, 13).round(4)],
    "x_cov": 1.0,
    "noise_std": 1.0,
    "shots": 1000,
    "depths": [2, 3, 4],
    "shown": 100.0,
    "init_scale": 0.7,
    "step_size": 0.5,
    "learning_rate": 0.02,
    "num_steps": 2000,
    "num_tasks": 32,
    "estimate_tasks": 320_000,
    "bayes_tasks": 1000,
    "seed": 0,
}
STEPS = len(SETTINGS["anisotropy"]) + len(SETTINGS["depths"])
CAPTION = (
    "One Kronecker product is not enough, and four layers are. Linear regression with six outputs "
    "and six inputs, 1000 shots, one inner step. Outputs are alike in three degrees, and so are "
    "inputs: theta has the covariance R kron Lambda, both with the eigenvalues 1, a^-1/2 and, "
    "four times, a^-1, a being the anisotropy on the axes. (a) The expected loss less label "
    "noise, at the best start: shallow with its best step size (MAML), with the best product L'L "
    "kron R'R (Meta-KFO), and with the best matrix of 36 x 36 numbers; deep with MAML at the best "
    "start found that is zero end to end, where a step is exactly a sum of Kronecker products, "
    "one a layer; and the posterior mean (Bayes, 1000 sampled supports). (b) The same, over the "
    "loss of the best free matrix. Two layers can be better or worse than Meta-KFO; three contain "
    "it and close most of the gap; four, one more than the degrees of R, are as good as the free "
    "matrix (a theorem, see the mathematics pages). Crosses: deep MAML as meta-trained from a "
    "random start on sampled tasks, its loss estimated to 0.1 percent. (c) Why: how much of each "
    "entry of theta a step should take at a = 100, outputs down and inputs across (black is all). "
    "A strong output is worth learning in weak inputs too, and a strong input in weak outputs, but "
    "not a weak output in weak inputs; a product that has the first two has some of the third."
)
_AT_ONCE = 2  # meta-trainings
_NAMES = {"scalar": "maml", "kronecker": "kfo", "full": "free"}


def _law(anisotropy: float) -> LinearRegression:
    levels = jnp.diag(anisotropy ** -jnp.asarray(SETTINGS["exponents"]))
    return LinearRegression(
        dim=SETTINGS["dim"],
        outputs=SETTINGS["outputs"],
        theta_cov=levels,
        output_cov=levels,
        x_cov=SETTINGS["x_cov"],
        noise_std=SETTINGS["noise_std"],
        shots=SETTINGS["shots"],
    )


def _bayes(tasks: LinearRegression) -> np.ndarray:
    """Half the posterior variance of a query's outputs, over sampled supports."""
    key = jax.random.key(SETTINGS["seed"])
    support: Any = tasks.sample_moments(key, SETTINGS["bayes_tasks"]).support
    seen = np.asarray(support.xx) * SETTINGS["shots"] / SETTINGS["noise_std"] ** 2
    unseen = np.linalg.inv(np.asarray(tasks.theta_cov))
    variances = [
        np.trace(np.linalg.inv(unseen / row + seen), axis1=1, axis2=2)
        for row in np.diag(tasks.between_outputs())
    ]
    return SETTINGS["x_cov"] * np.sum(variances, axis=0) / 2


def _trained(tasks: LinearRegression, depth: int) -> jax.Array:
    """The loss of deep MAML after meta-training from a random start: an estimate."""
    import optax

    start_key, key, last_key = jax.random.split(jax.random.key(SETTINGS["seed"]), 3)
    hidden = (SETTINGS["dim"] + SETTINGS["outputs"],) * (depth - 1)
    widths = (SETTINGS["dim"], *hidden, SETTINGS["outputs"])
    start, rule = init(start_key, widths, SETTINGS["init_scale"]), MAML(SETTINGS["step_size"])
    rate = optax.cosine_decay_schedule(SETTINGS["learning_rate"], SETTINGS["num_steps"])
    loss = SampledLoss(tasks, rule, SETTINGS["num_tasks"], num_queries=None)
    run = meta_train(loss, start, optax.adam(rate), SETTINGS["num_steps"], key)
    return estimate(run.params, tasks, rule, last_key, SETTINGS["estimate_tasks"], method="mc").mean


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """Losses without label noise at every anisotropy, and what is taken of every entry at one."""
    found: dict[str, Any] = {}
    noise = SETTINGS["outputs"] * SETTINGS["noise_std"] ** 2 / 2
    shape = SETTINGS["outputs"], SETTINGS["dim"]
    for anisotropy in SETTINGS["anisotropy"]:
        tasks = _law(anisotropy)
        row = {"bayes": _bayes(tasks).mean()}
        for kind, name in _NAMES.items():
            best = best_preconditioner(tasks, kind)  # type: ignore[arg-type]
            row[name] = best.loss - noise
            if anisotropy == SETTINGS["shown"] and name != "maml":
                found[f"taken_{name}"] = np.diag(best.matrix).reshape(shape)
        for depth in SETTINGS["depths"]:
            row[f"deep_{depth}"] = best_layers(tasks, depth, step_size=1.0).loss - noise
        for name, value in row.items():
            found.setdefault(name, []).append(value)
        tick()
    for name in ("anisotropy", "shown", "depths"):
        found[name] = SETTINGS[name]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        losses = pool.map(partial(_trained, _law(SETTINGS["shown"])), SETTINGS["depths"])
        for depth, loss in zip(SETTINGS["depths"], losses, strict=True):
            found[f"trained_{depth}"] = [loss - noise]
            tick()
    return {name: np.asarray(values) for name, values in found.items()}
