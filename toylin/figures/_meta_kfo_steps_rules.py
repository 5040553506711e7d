"""The models and rules that the figure meta_kfo_steps compares."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from toylin.models import Params, add_linear_layers
from toylin.rules import ANIL, MAML, MetaCurvature, MetaKFO, MetaSGD, Rule


def start(name: str, settings: dict[str, Any]) -> tuple[Params, Rule]:
    """The same function and the same first step for all: zero, and identities below or above."""
    params: Params = (jnp.zeros((settings["outputs"], settings["dim"])),)
    if name.startswith("deep"):
        params = add_linear_layers(params, 1, position=0)
    if name == "deep_maml":
        params = add_linear_layers(params, 1, position=2)
    size, steps = settings["step_size"], settings["inner_steps"]
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


def cut(rule: Rule, steps: int) -> Rule:
    """The rule, stopped after so many of its steps."""
    if not steps:
        return MAML(0.0, 0)
    if isinstance(rule, MetaSGD):
        return rule.replace(step_sizes=tuple(a[:steps] for a in rule.step_sizes), steps=steps)
    return rule.replace(steps=steps)
