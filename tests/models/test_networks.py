"""Networks for images against JAX's own convolution and pooling, and layers added to any model."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import toylin as tl

BYTES = np.random.default_rng(0).integers(0, 256, (4, 6, 7, 7, 2), dtype=np.uint8)
TASKS = tl.ImageTasks(BYTES, ways=3, shots=2)
BATCH = TASKS.sample(jax.random.key(0), 2, 2)


def shaken(params, seed=1):
    """Every array moved, so that scales, shifts and identities count."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    moved = [w + 0.3 * jax.random.normal(k, w.shape) for w, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(structure, moved)


def reference(params, x):
    """The convolutional network by JAX's convolution and pooling."""
    for block in params[:-1]:
        x = jax.lax.conv_general_dilated(
            x, block["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "OIHW", "NHWC")
        )
        x = (x - x.mean((0, 1, 2))) / jnp.sqrt(x.var((0, 1, 2)) + 1e-5)
        x = jnp.maximum(x * block["scale"] + block["shift"], 0)
        window = (1, min(2, x.shape[1]), min(2, x.shape[2]), 1)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    return jnp.einsum("nk,ok->no", x.reshape(len(x), -1), params[-1]["weight"]) + params[-1]["bias"]


@pytest.mark.parametrize("depth", [1, 4])
def test_the_convolutional_network(depth):
    """7 pixels become 3, 1, 1 and 1; values and gradients."""
    model = tl.Convolutional(depth, width=3)
    params = shaken(model.init(jax.random.key(0), TASKS))
    x = BATCH.query.x[0]

    def both(model):
        return jax.jit(
            lambda p: (model(p, x), jax.grad(lambda p: jnp.sum(jnp.sin(model(p, x))))(p))
        )(params)

    assert_close(both(model), both(reference), 1e-11)


def test_the_perceptron():
    model = tl.MLP(hidden=(5, 4))
    params = shaken(model.init(jax.random.key(0), TASKS))
    x = np.asarray(BATCH.query.x[0])
    at = x.reshape(len(x), -1)
    for i, layer in enumerate(params):
        at = at @ np.asarray(layer["weight"]).T + np.asarray(layer["bias"])
        at = np.maximum(at, 0) if i < 2 else at
    np.testing.assert_allclose(model(params, x), at, rtol=1e-12)


def test_starts_keep_the_scale_of_what_passes():
    """He's variances: of many units the mean square of every layer is near that of its input."""
    tasks = tl.Classification(dim=400, classes=300)
    params = tl.MLP(hidden=(400,)).init(jax.random.key(0), tasks)
    for layer in params:
        spread = jnp.var(layer["weight"]) * layer["weight"].shape[1]
        assert abs(spread - 2) < 0.05
        assert not layer["bias"].any()
    blocks = [p for p in tl.Convolutional(2, 64).init(jax.random.key(0), TASKS) if "kernel" in p]
    assert len(blocks) == 2
    kernel = blocks[1]["kernel"]
    assert kernel.shape == (64, 64, 3, 3)
    assert abs(jnp.var(kernel) * 9 * 64 - 2) < 0.05


@pytest.mark.parametrize(
    "model", [tl.MLP((4,)), tl.Convolutional(1, 3), tl.DeepLinear(widths=(98, 3))]
)
def test_added_layers_change_gradients_alone(model):
    """The function, and what it can compute, are those of the model; a step on it is not."""
    tasks = TASKS
    batch = BATCH
    if isinstance(model, tl.DeepLinear):
        tasks = tl.ImageTasks(TASKS.images.flat(), 3, 2)
        batch = tasks.sample(jax.random.key(0), 2, 2)
    wrapped = tl.LinNet(model, input_layers=1, output_layers=2)
    params = wrapped.init(jax.random.key(1), tasks)
    assert [len(params[name]) for name in ("input", "output")] == [1, 2]
    x = batch.query.x[0]
    np.testing.assert_array_equal(wrapped(params, x), model(params["model"], x))
    # Shaken, the layers fold into the model: it is the same function of its weights.
    moved = {**params, "output": shaken(params["output"])}
    head = moved["output"][1] @ moved["output"][0]
    np.testing.assert_allclose(
        wrapped(moved, x), model(params["model"], x) @ head.T, rtol=1e-10, atol=1e-12
    )
    moved = {**params, "input": shaken(params["input"])}
    below = x @ moved["input"][0].T
    np.testing.assert_allclose(
        wrapped(moved, x), model(params["model"], below), rtol=1e-10, atol=1e-12
    )
    assert jnp.abs(wrapped(moved, x) - wrapped(params, x)).max() > 1e-3
    rule = tl.MAML(0.1)
    alone = tl.autodiff.outer_loss(params["model"], batch, rule, model)
    assert abs(tl.autodiff.outer_loss(params, batch, rule, wrapped) - alone) > 1e-4


@pytest.mark.parametrize(("dim", "outputs"), [(1, 1), (3, 1), (2, 5), (6, 4)])
def test_hidden_layers_by_default_leave_the_capacity_of_one_layer(dim, outputs):
    """A deep linear model computes any matrix that one layer does, of any rank."""
    widths = tl.DeepLinear(depth=3).shape(dim, outputs)
    params = tl.init(jax.random.key(0), widths)
    assert np.linalg.matrix_rank(np.atleast_2d(tl.end_to_end(params))) == min(dim, outputs)
    assert widths == (dim, *[min(dim, outputs)] * 2, outputs)


def test_rules_serve_networks_and_added_layers():
    model = tl.LinNet(tl.Convolutional(1, 3), output_layers=1)
    params = model.init(jax.random.key(0), TASKS)
    rules = [tl.make_rule(name, params, 0.1) for name in ("maml", "meta-kfo", "meta-sgd")]
    rules.append(tl.ANIL(0.1, layers=("model/1", "output")))
    losses = [tl.autodiff.outer_loss(params, BATCH, rule, model) for rule in rules]
    # Learned rules begin at MAML.
    np.testing.assert_allclose(losses[1:3], losses[0], rtol=1e-12)
    assert abs(losses[3] - losses[0]) > 1e-6


def test_one_output_is_a_number_a_point():
    tasks = tl.LinearRegression(dim=2, shots=3)
    batch = tasks.sample(jax.random.key(0), 2, 4)
    model = tl.LinNet(tl.MLP((3,)), output_layers=2)
    params = model.init(jax.random.key(1), tasks)
    assert model(params, batch.query.x[0]).shape == (4,)
    doubled = {**params, "output": (2 * jnp.eye(1), 3 * jnp.eye(1))}
    np.testing.assert_allclose(
        model(doubled, batch.query.x[0]), 6 * model(params, batch.query.x[0]), rtol=1e-14
    )
    assert tl.autodiff.outer_loss(params, batch, tl.MAML(0.1), model) > 0


def test_equal_networks_share_programs():
    assert tl.Convolutional(2, 8) == tl.Convolutional(2, 8)
    assert hash(tl.LinNet(tl.MLP((3,)))) == hash(tl.LinNet(tl.MLP((3,))))
    assert tl.MLP((3,)) != tl.MLP((4,))
    assert tl.MLP((3,)) != tl.Convolutional()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tl.MLP(hidden=3), "hidden must be a tuple of widths"),
        (lambda: tl.MLP(hidden=(0,)), "every entry of hidden must be"),
        (lambda: tl.Convolutional(depth=0), "depth must be an integer of at least 1"),
        (lambda: tl.Convolutional(depth=101), "depth must be .* at most 100, got 101"),
        (lambda: tl.Convolutional(width=1.5), "width must be an integer"),
        (lambda: tl.LinNet(tl.predict), "model must be a model with init"),
        (lambda: tl.LinNet(tl.MLP(), output_layers=-1), "output_layers must be"),
        (
            lambda: tl.Convolutional().init(jax.random.key(0), tl.Classification()),
            "tasks must show images",
        ),
        (lambda: tl.MLP().init(0, TASKS), "key must be one JAX random key"),
        (lambda: tl.MLP()((jnp.ones((3, 2)),), BATCH.query.x[0]), "params must be a tuple of 2"),
        (
            lambda: tl.Convolutional(1).init(jax.random.key(0), tl.DeepLinear()),
            "tasks must name the shape of their inputs",
        ),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
