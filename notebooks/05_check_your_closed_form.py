# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. Checking a closed form of your own
#
# You have worked out a loss by hand. Is it right? This notebook walks through the way toylin itself
# checks every formula in it:
#
# 1. write it down;
# 2. compare it with a **second route** that shares nothing with it: automatic differentiation;
# 3. let **Hypothesis** choose the numbers, far from comfortable ones such as 0 and 1;
# 4. check the **gradient** as well as the value;
# 5. **break the formula on purpose** and see that the check notices;
# 6. compare it with a derivation in exact algebra.

# %% [markdown]
# **What you will be able to do** (30 minutes, and 20 for the exercises):
#
# - check a formula by a route that shares nothing with it, its gradient too;
# - choose settings at which a slip shows, or let Hypothesis choose them;
# - read what a failed check says.

# %%
import jax

jax.config.update("jax_enable_x64", True)  # without it, 7 digits is all one can check

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import sympy

import toylin as tl
from toylin import testing

DEEP, SHALLOW, GREY = "#c1121f", "black", "#6c757d"
plt.rcParams.update(
    {"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False}
)

# %% [markdown]
# ## 1. Write it down
#
# The deep scalar model $f(x) = w_2 w_1 x$, one inner step on the population of the task $\theta$.
# With $p = w_1 w_2$, $\delta = p - \theta$ and $s^2 = \mathrm{Var}(x)$, the inner loss is
# $\frac12 s^2 \delta^2$, so that
#
# $$w_1' = w_1 - \alpha s^2 \delta\, w_2, \qquad w_2' = w_2 - \alpha s^2 \delta\, w_1 .$$
#
# Multiply out, with $a = \alpha s^2$ and $q = w_1^2 + w_2^2$: the error after the step is
#
# $$w_1' w_2' - \theta = (1 - a q)\, \delta + a^2 p\, \delta^2 .$$
#
# Square it and take the expectation. $\delta$ is Gaussian with mean $m = p - \mu$ and variance
# $\tau^2$, whose moments $E\delta^2$, $E\delta^3$, $E\delta^4$ stand in every textbook.


# %%
def by_hand(w1, w2, alpha, mu, tau, s, sigma):
    """The expected loss after one step, from pencil and paper."""
    a, p, q = alpha * s**2, w1 * w2, w1**2 + w2**2
    m = p - mu
    second = m**2 + tau**2
    third = m**3 + 3 * m * tau**2
    fourth = m**4 + 6 * m**2 * tau**2 + 3 * tau**4
    square = (1 - a * q) ** 2 * second + 2 * (1 - a * q) * a**2 * p * third + a**4 * p**2 * fourth
    return 0.5 * s**2 * square + 0.5 * sigma**2


# %% [markdown]
# ## 2. A second route
#
# `tl.autodiff` knows nothing of the algebra above. It takes a batch of tasks, runs the inner loop
# with `jax.grad`, and averages the losses. On *sampled* tasks that gives an estimate, whose error
# falls slowly with their number...

# %%
w1 = jnp.linspace(-2.5, 2.5, 61)
at = {"w2": 0.9, "alpha": 0.3, "mu": 0.4, "tau": 0.8, "s": 1.2, "sigma": 0.5}


def problem(alpha, mu, tau, s, sigma):
    """The same setting in toylin's words."""
    tasks = tl.LinearRegression(theta_mean=mu, theta_cov=tau**2, x_cov=s**2, noise_std=sigma)
    return tasks, tl.MAML(alpha)


def params_of(w1, w2):
    return (jnp.reshape(w1, (1, 1)), jnp.reshape(w2, (1, 1)))


tasks, rule = problem(**{k: at[k] for k in ("alpha", "mu", "tau", "s", "sigma")})


@jax.jit
def on_batch(w1, batch):
    """The loss of every task in the batch, at every w1."""
    one = lambda w: tl.autodiff.task_losses(params_of(w, at["w2"]), batch, rule)  # noqa: E731
    return jax.vmap(one)(w1)


losses = on_batch(w1, tasks.sample(jax.random.key(0), 200))
mean, stderr = losses.mean(axis=1), losses.std(axis=1) / np.sqrt(200)
hand = by_hand(w1, **at)

fig, ax = plt.subplots(figsize=(5.5, 3))
ax.plot(w1, hand, color=DEEP, lw=2, label="by hand")
ax.fill_between(w1, mean - 2 * stderr, mean + 2 * stderr, color=GREY, alpha=0.35, lw=0,
                label="200 sampled tasks, ± 2 standard errors")  # fmt: skip
ax.set(xlabel="$w_1$", ylabel="loss after adaptation", ylim=(0, 1.5))
ax.legend(frameon=False)
plt.show()

# %%
assert float(jnp.mean(jnp.abs(hand - mean) < 3 * stderr)) > 0.9

# %% [markdown]
# ...so a small slip would drown in the noise. `tl.quadrature_batch` is the way out: a handful of
# *weighted* tasks over which the average **is** the expectation, because the loss is a polynomial
# in $\theta$ and a Gauss rule integrates those exactly. Same automatic differentiation, no noise.

# %%
nodes = tl.quadrature_batch(tasks, depth=2, steps=1)
exact = jax.vmap(lambda w: tl.autodiff.outer_loss(params_of(w, at["w2"]), nodes, rule))(w1)
print(
    f"{nodes.truth.shape[0]} tasks; largest disagreement {float(jnp.abs(exact - hand).max()):.1e}"
)
np.testing.assert_allclose(hand, exact, rtol=1e-12)

# %% [markdown]
# ## 3. and 4. Let Hypothesis choose, and check gradients
#
# One setting proves little: at $\mu = 0$ the third moment could be wrong by any factor, at $s =
# 1$ any power of it. [Hypothesis](https://hypothesis.readthedocs.io) draws settings, and when one
# fails it looks for the simplest that does. `toylin.testing` has the strategies, and one call that
# compares a formula **and its gradient** with automatic differentiation over exact nodes and with
# sampled tasks. A formula is a function of `(params, tasks, rule)`:


# %%
def as_formula(formula):
    """The formula in toylin's words."""

    def outer_loss(params, tasks, rule):
        w1, w2 = params[0][0, 0], params[1][0, 0]
        tau, s = jnp.sqrt(tasks.theta_cov), jnp.sqrt(tasks.x_cov)
        return formula(w1, w2, rule.step_size, tasks.theta_mean, tau, s, tasks.noise_std)

    return outer_loss


population = testing.regressions(shots=[None])
report = testing.check_outer_loss(as_formula(by_hand), tasks=population)
print(report)
assert report.settings == 50

# %% [markdown]
# 50 settings, and fifteen digits of the loss as well as of its gradient.
#
# ## 5. Would it have noticed?
#
# A test that cannot fail is worth nothing. So make the slips that one makes, one at a time.


# %%
def slip(name, **change):
    """`by_hand` with one slip in it."""
    c = {"half": 0.5, "three": 3, "sign": 1, "power": 2, "noise": 0.5} | change

    def formula(w1, w2, alpha, mu, tau, s, sigma):
        a, p, q = alpha * s ** c["power"], w1 * w2, w1**2 + w2**2
        m = p - mu
        second = m**2 + tau**2
        third = m**3 + c["three"] * m * tau**2
        fourth = m**4 + 6 * m**2 * tau**2 + 3 * tau**4
        cross = c["sign"] * 2 * (1 - a * q) * a**2 * p * third
        square = (1 - a * q) ** 2 * second + cross + a**4 * p**2 * fourth
        return c["half"] * s**2 * square + c["noise"] * sigma**2

    return name, formula


slips = [
    slip("none"),
    slip("mean square, not half", half=1.0, noise=1.0),
    slip("noise forgotten", noise=0.0),
    slip("sign of the cross term", sign=-1),
    slip("s for s²", power=1),
    slip("wrong third moment", three=1),
]
comfortable = (0.5, 0.9, 0.3, 0.45, 0.8, 1.0, 0.0)  # s = 1, sigma = 0, mu = w1 w2
uncomfortable = (0.5, 0.9, 0.3, -0.4, 0.8, 1.2, 0.5)


def error(formula, setting):
    w1, w2, *numbers = setting
    want = float(tl.autodiff.outer_loss(params_of(w1, w2), *problem(*numbers)))
    return max(abs(float(formula(*setting)) / want - 1), 1e-16)


fig, ax = plt.subplots(figsize=(6.5, 3.2))
rows = np.arange(len(slips))
for shift, setting, colour, label in [
    (-0.2, comfortable, GREY, "at one comfortable point"),
    (0.2, uncomfortable, DEEP, "at an uncomfortable one"),
]:
    ax.barh(rows + shift, [error(f, setting) for _, f in slips], 0.38, color=colour, label=label)
ax.axvline(1e-11, color=SHALLOW, ls="--", lw=1)
ax.set(xscale="log", xlim=(1e-17, 10), yticks=rows, xlabel="relative error of the value")
ax.set_yticklabels([name for name, _ in slips])
ax.invert_yaxis()
fig.legend(frameon=False, loc="outside lower center", ncols=2)
plt.show()

# %% [markdown]
# Four of the five slips are invisible at the comfortable point $s = 1$, $\sigma = 0$,
# $\mu = w_1 w_2$. **Check**: the property test catches all five, and passes the right formula.
# Where a slip is one of those that everybody makes, it says which.

# %%
assert [error(f, comfortable) < 1e-11 for _, f in slips] == [True, False, True, True, True, True]
assert [error(f, uncomfortable) < 1e-11 for _, f in slips] == [True] + 5 * [False]

caught = {}
for name, formula in slips:
    try:
        testing.check_outer_loss(as_formula(formula), tasks=population)
    except testing.WrongFormulaError as wrong:
        caught[name] = wrong
        print(f"{name}: {'; '.join(wrong.slips) or 'no slip that it knows'}")
assert list(caught) == [name for name, _ in slips[1:]]
assert "factor of 2" in caught["mean square, not half"].slips[0]
assert "label noise" in caught["noise forgotten"].slips[0]

# %% [markdown]
# What a failure looks like, here of the wrong third moment: the simplest setting that shows it.

# %%
print(caught["wrong third moment"])

# %% [markdown]
# Hypothesis likes boring numbers, such as $w_1 = 0$, $w_2 = 1$. There $p = w_1 w_2 = 0$, the wrong
# term vanishes, and the *value* is right. Only the gradient gives the slip away, which is why both
# are checked.

# %%
found = caught["wrong third moment"].comparison
assert abs(found.value - found.want) < 1e-12
assert np.abs(found.grad - found.want_grad).max() > 0.1

# %% [markdown]
# ## 6. Exact algebra
#
# Numbers agree to eleven digits; algebra agrees entirely. `tl.derive` derives the loss symbol by
# symbol, from nothing but the inner step and the moments of a Gaussian.

# %%
derivation = tl.derive(depth=2, steps=1)
derivation

# %%
symbols = {x.name: x for x in derivation.substituted().free_symbols}
names = ("w_1", "w_2", "alpha", "mu", "tau", "s", "sigma")
assert set(symbols) == set(names)
mine = by_hand(*(symbols[name] for name in names))
difference = sympy.nsimplify(sympy.expand(mine - derivation.substituted()))
assert difference == 0

# %% [markdown]
# It also prints Python (`format("python")`), and makes a function of it, for the cases that nobody
# wants to do by hand. Two layers, one step, $K$ shots with noise: derive it, and put it through the
# same check.

# %%
derivation = tl.derive(depth=2, steps=1, shots="K")
print(derivation.format("python")[:500], "...")

# %%
derived_loss = derivation.lambdify()
few = tl.LinearRegression(theta_mean=0.4, theta_cov=0.64, x_cov=1.44, noise_std=0.5, shots=7)
few_nodes = tl.quadrature_batch(few, depth=2, steps=1)
for weights in [(0.5, 0.9), (-1.2, 0.3)]:
    derived = derived_loss(weights, 0.3, 0.4, 0.64, 1.44, 0.5, 7)
    differentiated = tl.autodiff.outer_loss(params_of(*weights), few_nodes, rule)
    np.testing.assert_allclose(derived, differentiated, rtol=1e-11)

# %% [markdown]
# ## Exercises
#
# Each solution is folded below its exercise, in Jupyter and on the site: click it open when you
# have yours.

# %% [markdown]
# **Exercise 1.** At $w_1 = 0$ the slip “sign of the cross term” leaves the value right. Why? And
# the gradient?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# The cross term has the factor p = w_1 w_2; its derivative by w_1 has not.
wrong_sign = dict(slips)["sign of the cross term"]
rest = (0.9, 0.3, -0.4, 0.8, 1.2, 0.5)
assert wrong_sign(0.0, *rest) == by_hand(0.0, *rest)
assert abs(jax.grad(wrong_sign)(0.0, *rest) - jax.grad(by_hand)(0.0, *rest)) > 0.01

# %% [markdown]
# **Exercise 2.** Write the loss of the *shallow* model with $K$ shots, one step, and check it.
# You need the mean square of the support's second moment $S$: $E S^2 = s^4 (1 + 2/K)$.


# %% tags=["hide-cell"] jupyter={"source_hidden": true}
def shallow_few_shots(params, tasks, rule):
    w, a = params[0][0, 0], rule.step_size
    s2, noise = tasks.x_cov, tasks.noise_std**2
    kept = 1 - 2 * a * s2 + (a * s2) ** 2 * (1 + 2 / tasks.shots)  # E (1 - a S)^2
    bias = kept * ((w - tasks.theta_mean) ** 2 + tasks.theta_cov)
    return 0.5 * s2 * (bias + a**2 * s2 * noise / tasks.shots) + 0.5 * noise


shallow = {"tasks": testing.regressions(shots=[3]), "params": testing.params(depth=1)}
print(testing.check_outer_loss(shallow_few_shots, **shallow))

# %% [markdown]
# **Exercise 3.** What does the check say if you forget that the noise of the labels moves the
# adapted weight?


# %% tags=["hide-cell"] jupyter={"source_hidden": true}
def forgetful(params, tasks, rule):
    moved = 0.5 * (rule.step_size * tasks.x_cov * tasks.noise_std) ** 2 / tasks.shots
    return shallow_few_shots(params, tasks, rule) - moved


try:
    testing.check_outer_loss(forgetful, **shallow)
except testing.WrongFormulaError as wrong:
    print(wrong)
else:
    raise AssertionError("the check has missed it")

# %% [markdown]
# **Yours next.** Put your own formula in place of `by_hand`; `rule=` and `params=` take strategies
# for other rules and models. For a rule of your own see `docs/writing-a-rule.md`.
#
# Next: [6. Real images](06_real_images.ipynb).
