"""One rule of every kind, with parameters, tasks and random matrices for tests of rules."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import toylin as tl

SHAPES = {1: ((1, 3),), 2: ((2, 3), (1, 2)), 3: ((2, 3), (3, 2), (1, 3))}


TASKS = {
    "regression": tl.LinearRegression(dim=3, noise_std=0.3, shots=5),
    "classification": tl.BinaryClassification(dim=3, shots=6),
}


def normals(seed, shapes, scale=1.0):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(scale * rng.normal(size=s)) for s in shapes)


def params_of(seed, depth):
    return normals(seed, SHAPES[depth], 0.8)


def factors_of(seed, params):
    """A random pair a layer, far from the identity and from symmetry."""
    flat = normals(seed, [(n, n) for w in params for n in w.shape], 0.4)
    flat = [jnp.eye(len(m)) + m for m in flat]
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def networks_of(seed, params):
    rule = tl.NonlinearKFO.identity(params, 0.1, hidden=4, key=jax.random.key(seed))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda m: m + 0.2 * rng.normal(size=m.shape), rule.networks)


def shrink(scale, grads):
    """A nonlinear transform for GBML."""
    return jax.tree.map(lambda g: jnp.tanh(scale * g), grads)


RULES = {
    "MAML": lambda p, a, t: tl.MAML(a, t),
    "FOMAML": lambda p, a, t: tl.FOMAML(a, t),
    "ANIL": lambda p, a, t: tl.ANIL(a, t),
    "ANIL first": lambda p, a, t: tl.ANIL(a, t, layers=(0,)),
    "Reptile": lambda p, a, t: tl.Reptile(a, t),
    "MetaSGD": lambda p, a, t: tl.MetaSGD(
        tuple(a * (1 + w) for w in normals(1, map(np.shape, p), 0.5)), t
    ),
    "MetaSGD per step": lambda p, a, t: tl.MetaSGD(
        tuple(a * (1 + w) for w in normals(6, [(t, *w.shape) for w in p], 0.5)), t, per_step=True
    ),
    "AlphaMAML": lambda p, a, t: tl.AlphaMAML(a, 0.05, t),
    "MetaCurvature": lambda p, a, t: tl.MetaCurvature(factors_of(2, p), a, t),
    "MetaKFO": lambda p, a, t: tl.MetaKFO(factors_of(3, p), a, t, psd=True),
    "MetaKFO adapting": lambda p, a, t: tl.MetaKFO(
        factors_of(4, p), a, t, psd=False, adapt_transform=True
    ),
    "NonlinearKFO": lambda p, a, t: tl.NonlinearKFO(networks_of(5, p), a, t, adapt_transform=True),
    "GBML": lambda p, a, t: tl.GBML(jnp.asarray(0.7), a, shrink, t, adapt_transform=True),
}


def assert_same(got, wanted, **tolerance):
    tolerance = {"rtol": 1e-11, "atol": 1e-12, **tolerance}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), got, wanted)


def gap(a, b):
    """The largest difference: that an equality is not one of things that never move."""
    return max(float(jnp.max(jnp.abs(x - y))) for x, y in zip(a, b, strict=True))
