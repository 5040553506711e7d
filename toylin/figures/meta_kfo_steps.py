"""Several inner steps: the authors' Meta-KFO, whose factors adapt too, beside other rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin import autodiff, closed_form
from toylin.figures._meta_kfo_steps_panels import CONTENDERS
from toylin.figures._meta_kfo_steps_panels import draw as draw
from toylin.limits import shallow_optimum
from toylin.models import Params, add_linear_layers
from toylin.rules import ANIL, MAML, MetaCurvature, MetaKFO, MetaSGD, Rule
from toylin.tasks import LinearRegression
from toylin.training import SampledLoss, joint, meta_train

SETTINGS: dict[str, Any] = {
    "outputs": 4,
    "dim": 4,
    "variances": [1.0, 0.3, 0.1, 0.03],
    "axes_seed": 0,
    "theta_cov": 0.1,
    "noise_std": 0.16,
    "shots": 100,
    "inner_steps": 5,
    "step_size": 0.3,
    "learning_rate": 0.01,
    "clip": 1.0,
    "num_steps": 1000,
    "num_tasks": 32,
    "seeds": 3,
    "evaluation_tasks": 4000,
}
STEPS = len(CONTENDERS) + 1
CAPTION = "TODO"


def _covariance(seed: int) -> jax.Array:
    size = len(SETTINGS["variances"])
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]
    matrix = axes * SETTINGS["variances"] @ axes.T
    return jnp.asarray((matrix + matrix.T) / 2)


def _law() -> LinearRegression:
    """Outputs that are alike, and inputs too, along axes of their own."""
    seed = SETTINGS["axes_seed"]
    return LinearRegression(
        dim=SETTINGS["dim"],
        outputs=SETTINGS["outputs"],
        theta_cov=SETTINGS["theta_cov"],
        x_cov=_covariance(seed),
        output_cov=_covariance(seed + 1),
        noise_std=SETTINGS["noise_std"],
        shots=SETTINGS["shots"],
    )


def _start(name: str) -> tuple[Params, Rule]:
    """The same function and the same first step for all: zero, and identities below or above."""
    shallow = (jnp.zeros((SETTINGS["outputs"], SETTINGS["dim"])),)
    params = shallow
    if name.startswith("deep"):
        params = add_linear_layers(shallow, 1, position=0)
    if name == "deep_maml":
        params = add_linear_layers(params, 1, position=2)
    size, steps = SETTINGS["step_size"], SETTINGS["inner_steps"]
    match name.partition("_")[2]:
        case "meta_sgd":
            return params, MetaSGD.identity(params, size, steps, per_step=True)
        case "meta_curvature":
            return params, MetaCurvature.identity(params, size, steps)
        case "held_kfo":
            return params, MetaKFO.identity(params, size, steps)
        case "meta_kfo":
            return params, MetaKFO.identity(params, size, steps, adapt_transform=True)
        case "anil_kfo":
            head = MetaKFO.identity(params[-1:], size, steps, adapt_transform=True)
            return params, ANIL(rule=head)
    return params, MAML(size, steps)


def _cut(rule: Rule, steps: int) -> Rule:
    """The rule, stopped after so many of its steps."""
    if not steps:
        return MAML(0.0, 0)
    if isinstance(rule, MetaSGD):
        return rule.replace(step_sizes=tuple(a[:steps] for a in rule.step_sizes), steps=steps)
    return rule.replace(steps=steps)


def _train(name: str, tasks: LinearRegression) -> tuple[jax.Array, jax.Array]:
    """The loss along meta-training, and that after every inner step at its end; a row a seed."""
    import optax

    params, rule = _start(name)
    loss, pair = joint(SampledLoss(tasks, rule, SETTINGS["num_tasks"], num_queries=None), params)
    rate = optax.cosine_decay_schedule(SETTINGS["learning_rate"], SETTINGS["num_steps"])
    optimizer = optax.chain(optax.clip_by_global_norm(SETTINGS["clip"]), optax.adam(rate))
    key = jax.random.key(SETTINGS["seeds"])  # of no seed of training
    unseen = tasks.sample_moments(key, SETTINGS["evaluation_tasks"])

    def run(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        done = meta_train(loss, pair, optimizer, SETTINGS["num_steps"], key)
        params, rule = done.params
        steps = range(SETTINGS["inner_steps"] + 1)
        ends = [autodiff.outer_loss(params, unseen, _cut(rule, t)) for t in steps]
        return done.loss, jnp.stack(ends)

    keys = jax.vmap(jax.random.key)(jnp.arange(SETTINGS["seeds"]))  # the same tasks for all
    return jax.jit(jax.vmap(run))(keys)


def _bayes(tasks: LinearRegression) -> np.ndarray:
    """Half the posterior variance of a query's outputs, over the supports of the evaluation."""
    support: Any = tasks.sample_moments(
        jax.random.key(SETTINGS["seeds"]), SETTINGS["evaluation_tasks"]
    ).support
    of_x = np.asarray(tasks.x_cov)
    seen = np.asarray(support.xx) * SETTINGS["shots"] / SETTINGS["noise_std"] ** 2
    unseen = np.eye(SETTINGS["dim"]) / SETTINGS["theta_cov"]
    rows = np.linalg.eigvalsh(np.asarray(tasks.output_cov))
    left = sum(np.linalg.inv(unseen / row + seen) for row in rows)
    return np.trace(of_x @ left, axis1=1, axis2=2).mean() / 2


def compute(tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """Losses without label noise: along training, after every inner step, and what is best."""
    tasks = _law()
    noise = SETTINGS["outputs"] * SETTINGS["noise_std"] ** 2 / 2
    start = shallow_optimum(tasks)
    found: dict[str, Any] = {
        "bayes": _bayes(tasks),
        "no_adaptation": closed_form.outer_loss(start, tasks, MAML(0.0, 0)) - noise,
    }
    tick()
    for name in CONTENDERS:
        training, ends = _train(name, tasks)
        found |= {f"training_{name}": training - noise, f"after_{name}": ends - noise}
        tick()
    return {name: np.asarray(values) for name, values in found.items()}
