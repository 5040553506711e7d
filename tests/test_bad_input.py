"""Bad input is refused before any compute, by a message that says what it may be."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import ROUTES, scalar_params

import toylin as tl
import toylin.quadrature
import toylin.tasks

KEY = jax.random.key(0)
TASKS = tl.LinearRegression(shots=3)
RULE = tl.MAML(0.1)
PARAMS = scalar_params([0.7, -0.9])


def refused(message):
    return pytest.raises(ValueError, match=message)


both_tasks = pytest.mark.parametrize("tasks", [tl.LinearRegression, tl.BinaryClassification])


@both_tasks
@pytest.mark.parametrize("shots", [-1, 0, 2.5, True, "ten"])
def test_shots(tasks, shots):
    wanted = "shots must be an integer of at least 1, or None for the population"
    with refused(f"{wanted}, got {shots!r}"):
        tasks(shots=shots)


@both_tasks
@pytest.mark.parametrize("dim", [0, -2, 1.0])
def test_dim(tasks, dim):
    with refused(f"dim must be an integer of at least 1, got {dim!r}"):
        tasks(dim=dim)


@pytest.mark.parametrize("name", ["theta_cov", "x_cov"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (jnp.ones((2, 3)), r"must be square, got shape \(2, 3\)"),
        (jnp.eye(3), r"shape \(2, 2\) to agree with dim=2, got shape \(3, 3\)"),
        (jnp.ones(2), r"must be a number or have shape \(2, 2\)"),
        (jnp.array([[1.0, 0.5], [0.0, 1.0]]), "must be symmetric"),
        (jnp.array([[1.0, 2.0], [2.0, 1.0]]), "must be positive .*definite.* eigenvalue -1"),
        (jnp.zeros((2, 2)), "must be positive (definite|semidefinite and not zero)"),
        (0.0, "must be positive definite, got 0.0"),
        (-1.0, "must be positive definite, got -1.0"),
        (jnp.nan, "must be finite, got nan"),
        ("wide", "must be a real number or an array of them, got 'wide'"),
        ([[1.0], [1.0, 2.0]], "must be a real number or an array of them"),
    ],
)
def test_covariances(name, value, message):
    with refused(f"(?s){name} .*{message}"):
        tl.LinearRegression(dim=2, **{name: value})


def test_covariance_of_binary_tasks():
    with refused(r"x_cov must be square, got shape \(2, 1\)"):
        tl.BinaryClassification(dim=2, x_cov=jnp.ones((2, 1)))


@pytest.mark.parametrize(
    ("mean", "message"),
    [
        (jnp.zeros(3), r"theta_mean .* shape \(2,\) to agree with dim=2, got shape \(3,\)"),
        (jnp.zeros((2, 1)), r"theta_mean .* got shape \(2, 1\)"),
        (jnp.array([0.0, jnp.inf]), "theta_mean must be finite"),
        (None, "theta_mean must be "),
    ],
)
def test_mean(mean, message):
    with refused(message):
        tl.LinearRegression(dim=2, theta_mean=mean)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_standard_deviations(value):
    with refused(f"noise_std must be a finite number of at least 0, got {value}"):
        tl.LinearRegression(noise_std=value)
    with refused(f"mean_std must be a finite number of at least 0, got {value}"):
        tl.BinaryClassification(mean_std=value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_step_size_that_is_not_finite(value):
    with refused(f"step_size must be a finite number, got {value}"):
        tl.MAML(value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step_size": jnp.ones(3)}, r"step_size must be one finite number, got shape \(3,\)"),
        ({"step_size": "big"}, "step_size must be a real number or an array of them, got 'big'"),
        ({"step_size": 0.1, "steps": -1}, "steps must be an integer of at least 0, got -1"),
        ({"step_size": 0.1, "steps": 1.5}, "steps must be an integer of at least 0, got 1.5"),
        ({"step_size": 0.1, "first_order": 1}, "first_order must be a bool, got 1"),
    ],
)
def test_rule(arguments, message):
    with refused(message):
        tl.MAML(**arguments)


def test_shapes_are_checked_under_a_trace_too():
    with refused(r"step_size must be one finite number, got shape \(2,\)"):
        jax.jit(lambda a: tl.MAML(a).step_size)(jnp.ones(2))
    with refused("x_cov must be square"):
        jax.jit(lambda c: tl.LinearRegression(dim=2, x_cov=c).x_cov)(jnp.ones((2, 3)))


BAD_PARAMS = [
    (
        (jnp.ones((2, 1)), jnp.ones((1, 3))),
        "widths of params do not chain: W_1 .* gives 2 outputs, but W_2 ",
    ),
    ((jnp.ones((2, 3)), jnp.ones((1, 2))), "the data have dim=1 inputs, but W_1 .* takes 3"),
    (
        (jnp.ones((2, 1)),),
        "must end in one output|must have the shape of the model.s outputs",
    ),
    ((jnp.ones(1),), r"params must be matrices, .* got shapes \[\(1,\)\]"),
    ((), "params must be a tuple of matrices"),
    (jnp.ones((1, 1)), "params must be a tuple of matrices"),
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.__name__)
@pytest.mark.parametrize(("params", "message"), BAD_PARAMS)
def test_params(route, params, message):
    batch = TASKS.sample(KEY, 4)
    support = jax.tree.map(lambda a: a[0], batch.support)
    for data in (TASKS, batch, tl.LinearRegression()):
        with refused(message):
            route.outer_loss(params, data, RULE)
        with refused(message):
            route.outer_grad(params, data, RULE)
    for function in (route.inner_loss, route.inner_grad):
        with refused(message):
            function(params, support)
    with refused(message):
        route.adapt(params, support, RULE)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.__name__)
def test_arguments_of_another_kind(route):
    with refused("tasks must be a law of tasks, .*, got 'tasks'"):
        route.outer_loss(PARAMS, "tasks", RULE)
    with refused("rule must be a Rule, got 0.1"):
        route.outer_loss(PARAMS, TASKS, 0.1)
    with refused("support must be what tasks show, .*, got None"):
        route.inner_loss(PARAMS, None)


def test_init():
    with refused(r"widths must name an input and an output width at least, got \(3,\)"):
        tl.init(KEY, (3,))
    with refused("every entry of widths must be an integer of at least 1, got 0"):
        tl.init(KEY, (3, 0, 1))
    with refused("scale must be a finite number of at least 0, got -1"):
        tl.init(KEY, (3, 1), scale=-1.0)


@pytest.mark.parametrize("tasks", [TASKS, tl.BinaryClassification(shots=3)], ids=["lr", "binary"])
def test_sample(tasks):
    with refused("num_tasks must be an integer of at least 1, got 0"):
        tasks.sample(KEY, 0)
    with refused("num_queries must be an integer of at least 1, got -3"):
        tasks.sample(KEY, 4, -3)
    with refused("num_tasks must be an integer of at least 1, got 0"):
        tl.SampledLoss(tasks, RULE, num_tasks=0)
    with refused("num_queries must be an integer of at least 1, got 0"):
        tl.SampledLoss(tasks, RULE, num_queries=0)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.__name__)
class TestNoClosedForm:
    """The message names the combination and the route that serves it."""

    def refused(self, message):
        return pytest.raises(tl.NoClosedFormError, match=message)

    def test_few_shots_in_several_dimensions(self, route):
        params = tl.init(KEY, (2, 3, 1))
        message = (
            r"3 shots exist for dim=1 and outputs=1, not for dim=2 and outputs=1 with depth=2 and "
            r"steps=4; sample tasks"
        )
        for function in (route.outer_loss, route.outer_grad):
            with self.refused(message + r" instead: autodiff\.outer_loss"):
                function(params, tl.LinearRegression(dim=2, shots=3), tl.MAML(0.1, 4))

    def test_binary_tasks(self, route):
        with self.refused(
            r"BinaryClassification.*shots=3|not for BinaryClassification and .*autodiff"
        ):
            route.outer_loss(PARAMS, tl.BinaryClassification(shots=3), RULE)

    def test_too_many_nodes(self, route):
        params = tl.init(KEY, (8, 4, 4, 1))
        with refused(
            r"dim=8, outputs=1, depth=3, steps=2 needs 4\.29e\+09 nodes, more than MAX_NODES"
        ):
            route.outer_loss(params, tl.LinearRegression(dim=8), tl.MAML(0.1, 2))


def test_polynomial_loss():
    batch = TASKS.sample(KEY, 4)
    with refused("a polynomial loss needs steps=1 and dim=1, got steps=2 and dim=1"):
        tl.batch_polynomial(batch, tl.MAML(0.1, 2), depth=2)
    with refused("got steps=1 and dim=2"):
        tl.batch_polynomial(tl.LinearRegression(dim=2).sample(KEY, 4), RULE, depth=2)
    with refused("depth must be an integer of at least 1, got 0"):
        tl.batch_polynomial(batch, RULE, depth=0)
    with refused("data in batch must be a RegressionPoints or RegressionMoments"):
        tl.batch_polynomial(tl.BinaryClassification(shots=2).sample(KEY, 4), RULE, depth=2)


def test_meta_train():
    loss, adam = tl.ExactLoss(TASKS, RULE), optax.adam(0.1)
    with refused("key must be a JAX random key, since the loss samples; got None"):
        tl.meta_train(tl.SampledLoss(TASKS, RULE), PARAMS, adam, 10)
    with refused("num_steps must be an integer of at least 1, got 0"):
        tl.meta_train(loss, PARAMS, adam, 0)
    with refused("optimizer must be an optax.GradientTransformation, got 0.1"):
        tl.meta_train(loss, PARAMS, 0.1, 10)
    with refused("loss must be a function, got 3"):
        tl.meta_train(3, PARAMS, adam, 10)
    with refused("got a function of 3 required arguments"):
        tl.meta_train(lambda a, b, c: a, PARAMS, adam, 10)


@pytest.mark.parametrize("extent", [0.0, -1.0, (1.0, 1.0), (2.0, -2.0), (0, 1, 2), jnp.nan])
def test_extent(extent):
    with refused("extent must be a positive number, a pair"):
        tl.surface(tl.ExactLoss(TASKS, RULE), PARAMS, (PARAMS, PARAMS), extent)


def test_surface():
    loss = tl.ExactLoss(TASKS, RULE)
    with refused(r"directions must be two pytrees \(u, v\), got 1"):
        tl.surface(loss, PARAMS, (PARAMS,), 1.0)
    with refused("the second direction must have the structure and shapes of params"):
        tl.surface(loss, PARAMS, (PARAMS, PARAMS[:1]), 1.0)
    with refused("resolution must be an integer of at least 2, got 1"):
        tl.surface(loss, PARAMS, (PARAMS, PARAMS), 1.0, resolution=1)
    with refused("loss must be a function of params, got 7"):
        tl.surface(7, PARAMS, (PARAMS, PARAMS), 1.0)
    whole = jnp.ones(2, int)  # with an extent of whole numbers, too, which 0.5 is not
    with refused("params must hold arrays of floats, got one of int"):
        tl.surface(jnp.sum, whole, (whole, whole), 0.5)


@pytest.mark.parametrize("tasks", [None, "x", 1.0, {}])
def test_a_start_is_for_a_law(tasks):
    with refused("tasks must be a law of tasks"):
        tl.DeepLinear(widths=(1, 1)).init(KEY, tasks)


@pytest.mark.parametrize("loss", [1.0, [], [[1.0]], "x", [True, "x"]])
def test_a_saved_loss_is_a_number_a_record(loss, tmp_path):
    with refused("loss must be"):
        tl.save_run(tmp_path / "run.npz", PARAMS, RULE, loss, {})


@pytest.mark.parametrize("noiseless", [0, "x", np.ones(3)])
def test_noiseless(noiseless):
    with refused("noiseless must be a bool"):
        tl.SampledLoss(TASKS, RULE, 4).for_training(PARAMS, noiseless)


def test_quadrature():
    with refused("nodes must be an integer of at least 1, got 0"):
        toylin.quadrature.gauss_normal(0)
    with refused("shape must be a positive number, got -0.5"):
        toylin.quadrature.gauss_gamma(3, -0.5)


@pytest.mark.parametrize("step_size", [np.float64(0.1), jnp.asarray([0.1])[0]])
def test_a_rule_of_a_wider_type_than_the_parameters(step_size):
    params = tuple(w.astype(jnp.float32) for w in PARAMS)
    with refused(r"rule\.step_size must not be of a wider type than the parameters, float32"):
        tl.closed_form.outer_loss(params, TASKS, tl.MAML(step_size))
    batch = TASKS.sample(KEY, 4, dtype=jnp.float32)
    with refused(r"rule\.step_size must not be of a wider type"):
        tl.autodiff.outer_loss(params, batch, tl.MAML(step_size))
    assert tl.autodiff.outer_loss(params, batch, tl.MAML(0.1)).dtype == jnp.float32


def test_what_a_transformation_has_put_together_is_checked_again():
    """Constructors are skipped there: an array where a number belongs was broadcast in silence."""
    batched = jax.vmap(tl.MAML)(jnp.array([0.1, 0.2]))
    laws = jax.tree.map(lambda leaf: jnp.array([leaf, leaf]), TASKS)
    for tasks, rule, name in ((TASKS, batched, "rule"), (laws, RULE, "tasks")):
        for call in (
            lambda tasks=tasks, rule=rule: tl.closed_form.outer_loss(PARAMS, tasks, rule),
            lambda tasks=tasks, rule=rule: tl.estimate(PARAMS, tasks, rule, KEY, 8),
        ):
            with refused(rf"^{name} must be made by its constructor: .* got shape \(2,\)"):
                call()
    losses = jax.vmap(lambda rule: tl.closed_form.outer_loss(PARAMS, TASKS, rule))(batched)
    assert losses.shape == (2,)
