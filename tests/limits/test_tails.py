"""Tail diagnostics against distributions known exactly and against samples."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
from helpers import half_as_many
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl


def scalar(*weights):
    return tuple(jnp.array([[w]]) for w in weights)


@given(
    shots=st.sampled_from([1, 2, 5, 40]),
    step_size=st.floats(0.2, 2.0),
    x_var=st.floats(0.5, 2.0),
    noise=st.sampled_from([0.0, 0.3]),
)
def test_the_shallow_model_diverges_where_the_step_times_curvature_exceeds_two(
    shots, step_size, x_var, noise
):
    tasks = tl.LinearRegression(theta_mean=0.3, x_cov=x_var, noise_std=noise, shots=shots)
    tail = tl.tails(scalar(0.7), tasks, tl.MAML(step_size))
    exact = scipy.special.gammaincc(shots / 2, shots / (step_size * x_var))
    assert float(tail.divergence_probability) == pytest.approx(exact, rel=0.02, abs=1e-12)


@given(w=st.floats(-2.0, 2.0), mu=st.floats(-1.0, 1.0), noise=st.floats(0.0, 0.5))
def test_the_median_of_the_shallow_population_loss(w, mu, noise):
    tasks = tl.LinearRegression(theta_mean=mu, theta_cov=0.8, noise_std=noise)
    tail = tl.tails(scalar(w), tasks, tl.MAML(0.1))
    error = scipy.stats.foldnorm(abs(w - mu) / 0.8**0.5, scale=0.9 * 0.8**0.5)
    exact = 0.5 * error.median() ** 2 + noise**2 / 2
    assert float(tail.median) == pytest.approx(exact, rel=0.01)
    assert float(tail.divergence_probability) == 0


@pytest.mark.parametrize(("weights", "steps"), [((0.7, -0.9), 1), ((0.7, -0.9, 1.1), 2)])
def test_median_and_divergence_agree_with_samples(weights, steps):
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.5, shots=2)
    params, rule, number = scalar(*weights), tl.MAML(0.3, steps), 200_000
    tail = tl.tails(params, tasks, rule)
    batch = tasks.sample_moments(jax.random.key(0), number)
    losses = tl.autodiff.task_losses(params, batch, rule)
    share_below = float(jnp.mean(losses < tail.median))
    assert abs(share_below - 0.5) < 5 * 0.5 / number**0.5
    adapted = jax.vmap(lambda s: tl.autodiff.adapt(params, s, rule))(batch.support)
    after = jax.vmap(tl.autodiff.inner_loss)(adapted, batch.support)
    before = jax.vmap(tl.autodiff.inner_loss, (None, 0))(params, batch.support)
    diverged = float(jnp.mean(~(after <= before)))
    error = (diverged * (1 - diverged) / number) ** 0.5
    assert diverged > 0.01
    assert abs(diverged - float(tail.divergence_probability)) < 5 * error + 0.01 * diverged


def test_a_mean_carried_by_its_tail_is_called_so():
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
    tail = tl.tails(scalar(0.7, -0.9, 1.1), tasks, tl.MAML(0.1, 2))
    assert float(tail.mean) == pytest.approx(1050436.1173201865, rel=1e-12)
    assert float(tail.median) == pytest.approx(0.303, abs=0.001)
    assert float(tail.tail_share) > 0.999
    with pytest.warns(tl.TailWarning, match="carried by rare outcomes"):
        tail.warn()
    assert [tail._replace(tail_share=share).dominated for share in (0.09, 0.11)] == [False, True]


def test_a_mean_that_is_typical_is_not():
    tail = tl.tails(scalar(0.7), tl.LinearRegression(), tl.MAML(0.1))
    # The worst thousandth of chi² with one degree of freedom carries 1.3 % of its mean (w = mu).
    at_mean = tl.tails(scalar(0.0), tl.LinearRegression(), tl.MAML(0.1))
    z = scipy.stats.norm.isf(5e-4)
    carried = 2 * (z * scipy.stats.norm.pdf(z) + scipy.stats.norm.sf(z))
    assert float(at_mean.tail_share) == pytest.approx(carried, rel=0.05)
    assert not tail.dominated
    tail.warn()


def shallow_law(tasks, w, step_size):
    """The error of a shallow model after one step, given S: normal, with this mean and spread.

    It is (1 - a S)(w - theta) + a n: a route by S alone, where ``tails`` goes by S, the estimate
    and theta given both.
    """
    left = 1 - step_size * S_NODES[tasks.shots][0] * float(tasks.x_cov)
    spread = step_size**2 * tasks.noise_std**2 * float(tasks.x_cov) / tasks.shots
    variance = left**2 * tasks.theta_cov + spread * S_NODES[tasks.shots][0]
    return left * (w - tasks.theta_mean), variance**0.5


def s_nodes(shots):
    """S = chi²_K / K and its probabilities, by the mid-points of fine cells of chi."""
    width = 14 / 20_000
    root = width * (np.arange(20_000) + 0.5)
    return root**2 / shots, scipy.stats.chi.pdf(root, shots) * width


S_NODES = {shots: s_nodes(shots) for shots in (1, 5, 40)}


@pytest.mark.parametrize(("shots", "dtype"), [(1, np.float64), (5, np.float32), (40, np.float64)])
@half_as_many
@given(
    step_size=st.floats(0.05, 0.4),
    noise=st.sampled_from([0.0, 0.1, 1.0, 10.0]),
    w=st.floats(-3.0, 3.0),
)
def test_median_and_share_of_the_shallow_model_with_noise(shots, dtype, step_size, noise, w):
    tasks = tl.LinearRegression(theta_mean=0.3, theta_cov=0.8, noise_std=noise, shots=shots)
    params = tuple(x.astype(dtype) for x in scalar(w))
    tail = tl.tails(params, tasks, tl.MAML(jnp.asarray(step_size, dtype)))
    mean, std = shallow_law(tasks, w, step_size)
    weight = S_NODES[shots][1]

    def beyond(radius):
        high, low = (radius - mean) / std, (radius + mean) / std
        return weight @ (scipy.stats.norm.sf(high) + scipy.stats.norm.sf(low))

    def quantile(share):
        return scipy.optimize.brentq(lambda r: beyond(r) - share, 0.0, 1e6, xtol=1e-12)

    assert float(tail.median) == pytest.approx((quantile(0.5) ** 2 + noise**2) / 2, rel=0.01)
    rare = quantile(1e-3)
    z = np.linspace(-12, 12, 2401)
    errors = mean[5::20, None] + std[5::20, None] * z  # the second moment beyond, by plain sums
    density = scipy.stats.norm.pdf(z) * (z[1] - z[0])
    second = ((errors**2 * (np.abs(errors) > rare)) @ density) @ (20 * weight[5::20])
    total = 0.5 * (weight @ (mean**2 + std**2) + noise**2)
    share = 0.5 * (second + noise**2 * 1e-3) / total
    assert float(tail.tail_share) == pytest.approx(share, rel=0.03)
    assert float(tail.mean) == pytest.approx(total, rel=0.01)


@pytest.mark.parametrize(("shots", "step_size"), [(1, 0.1), (1, 0.3), (5, 0.5)])
def test_the_share_of_a_deep_model_with_noise_agrees_with_samples(shots, step_size):
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=1.0, shots=shots)
    params, rule, number = scalar(0.7, -0.9), tl.MAML(step_size), 400_000
    tail = tl.tails(params, tasks, rule)

    @jax.jit
    def drawn(key):
        return tl.closed_form.task_losses(params, tasks.sample_moments(key, number), rule)

    def share(key):
        losses = np.partition(np.asarray(drawn(key)), -number // 1000)
        return losses[-number // 1000 :].sum() / losses.sum()

    shares = np.array([share(k) for k in jax.random.split(jax.random.key(0), 12)])
    error = shares.std(ddof=1) / 12**0.5
    assert error < 0.05 * shares.mean()
    assert abs(float(tail.tail_share) - shares.mean()) < 4 * error + 0.02 * shares.mean()


def diverging(shots, step_size, tasks):
    """How often one step from (1, 1) raises the support loss, by the polynomial it is.

    With t the estimate the product moves from 1 to t + (1 - t) [1 - 2 a S + a² S² (1 - t)].
    """

    def given_s(s):
        variance = tasks.theta_cov + (0 if shots is None else tasks.noise_std**2 / (shots * s))
        law = scipy.stats.norm(tasks.theta_mean, variance**0.5)
        below, above = 1 - 2 / (step_size * s), 1 + (2 - 2 * step_size * s) / (step_size * s) ** 2
        return law.cdf(below) + law.sf(above)

    if shots is None:
        return given_s(1.0)
    s, weight = S_NODES[shots]
    return given_s(s) @ weight


@half_as_many
@given(
    shots=st.sampled_from([None, 1, 5]),
    step_size=st.floats(0.17, 0.9),
    mean=st.floats(-1.0, 1.0),
    noise=st.sampled_from([0.0, 0.5, 3.0]),
)
def test_rare_divergence_keeps_its_relative_accuracy(shots, step_size, mean, noise):
    tasks = tl.LinearRegression(theta_mean=mean, noise_std=noise, shots=shots)
    found = float(tl.tails(scalar(1.0, 1.0), tasks, tl.MAML(step_size)).divergence_probability)
    assert found == pytest.approx(diverging(shots, step_size, tasks), rel=0.05, abs=1e-25)


def test_divergence_far_in_the_tail_of_the_tasks():
    """Ten standard deviations: a grid must reach as far."""
    found = tl.tails(
        scalar(1.0, 1.0), tl.LinearRegression(), tl.MAML(2 / 11)
    ).divergence_probability
    assert float(found) == pytest.approx(scipy.stats.norm.sf(10.0), rel=0.05)


@pytest.mark.parametrize(
    ("dtype", "w"), [(np.float64, 1e20), (np.float64, 1e15), (np.float32, 1e2)]
)
@pytest.mark.parametrize("shots", [1, 5])
def test_the_median_of_huge_losses(dtype, w, shots):
    """From (w, w) the first step ends at (a S w³)², the rest being far below."""
    tasks = tl.LinearRegression(noise_std=0.2, shots=shots)
    params = tuple(x.astype(dtype) for x in scalar(w, w))
    tail = tl.tails(params, tasks, tl.MAML(0.1))
    s = scipy.stats.chi2.median(shots) / shots
    if w == 1e2:  # not quite so far below
        assert float(tail.median) == pytest.approx(0.5 * (w - 0.1 * s * w**3) ** 4, rel=0.03)
    else:
        assert float(tail.median) == pytest.approx(0.5 * (0.1 * s * w**3) ** 4, rel=0.01)
    # It leaves the estimate's distance times (1 - a S w²)², which is above 1 from here on.
    diverges = scipy.stats.chi2.sf(2 * shots / (0.1 * w**2), shots)
    # Two digits are promised: at one shot the crossing lies within two cells of the grid's edge.
    assert float(tail.divergence_probability) == pytest.approx(diverges, rel=0.01)


def test_beyond_floats_is_right_or_absent():
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
    most = tl.tails(scalar(0.7, -0.9), tasks, tl.MAML(1e200))
    assert (float(most.mean), float(most.median)) == (np.inf, np.inf)
    assert float(most.divergence_probability) == 1
    assert np.isnan(float(most.tail_share))
    assert not most.dominated
    with pytest.warns(tl.TailWarning, match="beyond the range of floats, adaptation diverges"):
        most.warn()
    start = tl.tails(scalar(1e200, 1e200), tasks, tl.MAML(0.1))
    assert float(start.median) == np.inf
    assert np.isnan(float(start.divergence_probability))
    assert "diverges" not in start.message()


def test_all_tasks_diverge_but_the_one_that_is_there():
    """A step of 3 doubles every distance to the estimate; one task of the grid is the start."""
    tail = tl.tails(scalar(0.0), tl.LinearRegression(), tl.MAML(3.0))
    assert float(tail.divergence_probability) == pytest.approx(1, rel=1e-12)


def test_units_do_not_matter():
    """The loss goes by their square, and the shares stay."""

    def at(unit):
        tasks = tl.LinearRegression(1, 0.3 * unit, unit**2, noise_std=0.2 * unit, shots=5)
        return np.array(tl.tails(scalar(0.7 * unit), tasks, tl.MAML(0.7)))

    want, unit = at(1.0), 2.0**-20
    assert 0.01 < want[2] < 0.5
    np.testing.assert_allclose(at(unit) / [unit**2, unit**2, 1, 1], want, rtol=1e-5)


def test_an_error_is_spread_over_half_the_distance_to_the_nearer_and_not_beyond_floats():
    from toylin.limits._tails import _cell_std

    errors = jnp.array([1.0, 3.0, 7.0, jnp.inf, jnp.inf, -2.0, jnp.inf, jnp.inf, 1e200])
    np.testing.assert_array_equal(_cell_std(errors), [1.0, 1.0, 2.0, *[0.0] * 6])
    np.testing.assert_array_equal(_cell_std(jnp.array([0.0, 1.0, 1e9])), [0.5, 0.5, (1e9 - 1) / 2])


def test_where_all_tasks_end_alike_the_worst_carry_their_share():
    """One step that fits every task: what is left is the query's noise, a point and no spread."""
    tail = tl.tails(scalar(0.7), tl.LinearRegression(noise_std=0.5), tl.MAML(1.0))
    assert float(tail.tail_share) == pytest.approx(1e-3, rel=1e-9)
    assert float(tail.median) == pytest.approx(0.125, rel=1e-12)


def test_the_message_of_a_typical_mean_says_so():
    tail = tl.tails(scalar(0.7), tl.LinearRegression(shots=5), tl.MAML(0.1))
    assert "is typical: the worst 0.1% of tasks make up 1." in tail.message()
    assert "carried" not in tail.message()


def test_they_map_and_compile():
    tasks, rule = tl.LinearRegression(noise_std=0.2, shots=5), tl.MAML(0.1)
    weights = jnp.array([0.3, 0.9])
    many = jax.jit(jax.vmap(lambda w: tl.tails((w[None, None],), tasks, rule)))(weights)
    for i, w in enumerate(weights):
        one = tl.tails(scalar(float(w)), tasks, rule)
        np.testing.assert_allclose([float(x[i]) for x in many], [*map(float, one)], rtol=1e-9)


def test_only_the_scalar_problem_has_them():
    with pytest.raises(tl.NoClosedFormError, match="scalar linear regression"):
        tl.tails(tl.init(jax.random.key(0), (2, 1)), tl.LinearRegression(dim=2), tl.MAML(0.1))
    with pytest.raises(ValueError, match="tasks must be a "):
        tl.tails(scalar(1.0), "tasks", tl.MAML(0.1))


def test_a_mean_beyond_floats_is_infinite_and_dominated():
    tasks = tl.LinearRegression(noise_std=0.2, shots=2)
    tail = tl.tails(scalar(0.7, -0.9, 1.1, 0.8), tasks, tl.MAML(0.5, 3))
    assert np.isinf(float(tail.mean))
    assert tail.dominated
    assert np.isfinite(float(tail.median))
