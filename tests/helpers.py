"""What several test files share: scalar models, compiled routes, comparisons."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import settings

import toylin as tl
from toylin.cli import main

# For tests whose every draw is dear: half of what the profile asks for.
half_as_many = settings(max_examples=settings.default.max_examples // 2)

WEIGHTS = (0.7, -0.9, 1.1, 0.8, -1.2)


def scalar_params(weights) -> tuple[jax.Array, ...]:
    """The deep scalar model with these weights."""
    return tuple(jnp.asarray(w, float).reshape(1, 1) for w in weights)


def flat(params) -> np.ndarray:
    """All entries of a pytree in one vector."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])


@partial(jax.jit, static_argnums=0)
def value_and_grad(route: ModuleType, params, tasks, rule):
    """Outer loss and outer gradient by one route, compiled once for each static shape."""
    return route.outer_loss(params, tasks, rule), route.outer_grad(params, tasks, rule)


def assert_close(got, want, rtol, scale=0.0) -> None:
    """Equal structure, shapes and, relative to the largest entry (or ``scale``), values."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    assert [*map(jnp.shape, jax.tree.leaves(got))] == [*map(jnp.shape, jax.tree.leaves(want))]
    a, b = flat(got), flat(want)
    assert np.all(np.isfinite(a))
    assert np.all(np.isfinite(b))
    atol = rtol * max(np.max(np.abs(b)), scale)
    np.testing.assert_allclose(a, b, rtol=0, atol=atol)


ROUTES = (tl.closed_form, tl.autodiff)


def run_command(monkeypatch, capsys, *arguments):
    """Exit code, standard output and standard error of ``toylin *arguments``."""
    monkeypatch.setattr(sys, "argv", ["toylin", *arguments])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err
