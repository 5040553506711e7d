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
# # 1. Why MAML fails on a shallow model
#
# MAML learns a *start* from which a few gradient steps solve a new task. Arnold, Iqbal and Sha
# ([AISTATS 2021](https://proceedings.mlr.press/v130/arnold21a.html)) noticed that it needs a *deep*
# model: on a shallow one it fails, even where the shallow model can represent every solution.
#
# We rebuild that result with the smallest models there are, one number per layer:
#
# | | model | functions it can represent |
# |---|---|---|
# | **shallow** (black) | $f(x) = w\,x$ | all lines through 0 |
# | **deep** (red) | $f(x) = w_2\,w_1\,x$ | the same lines |
#
# Every claim below is followed by a cell that checks it: an `assert` that passes prints nothing.

# %% [markdown]
# **What you will be able to do** (25 minutes, and 15 for the exercises):
#
# - say why one layer of weights cannot adapt fast, however long it is meta-trained;
# - read a curve of meta-training against its floors;
# - compute the upper weight that makes one step of a deep model perfect.

# %%
import jax

jax.config.update("jax_enable_x64", True)  # closed forms deserve all their digits

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import toylin as tl
from toylin.plotting import DEEP, SHALLOW
from toylin.plotting import REFERENCE as GREY

plt.rcParams.update(
    {"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False}
)

# %% [markdown]
# ## One step on three tasks
#
# A task is a line $y = \theta x$, and $\theta \sim N(0, 1)$ differs from task to task. The learner
# starts from the same weights each time and takes **one** gradient step of size $\alpha = 0.1$ on
# the loss $\frac12 E(f(x) - y)^2$, with as much data as it likes (`shots=None`).
#
# In this model the new weights can be computed exactly: that is what `tl.closed_form.adapt` does. A
# model is a tuple of matrices, here of shape (1, 1).

# %%
alpha = 0.1
tasks = tl.LinearRegression(theta_mean=0.0, theta_cov=1.0, noise_std=0.0, shots=None)
rule = tl.MAML(step_size=alpha, steps=1)


def model(*weights):
    """A scalar model from its weights, lowest layer first."""
    return tuple(jnp.array([[w]], float) for w in weights)


def adapted_slope(params, theta):
    """The slope of the model's line after one step on the task `theta`."""
    support = tasks.population(jnp.array([theta]))
    return float(tl.end_to_end(tl.closed_form.adapt(params, support, rule))[0, 0])


shallow_start = model(0.0)
deep_start = model(0.0, 1 / np.sqrt(alpha))  # we will see below where that comes from
thetas = [1.5, 0.5, -1.0]

x = np.linspace(-1, 1, 2)
fig, panels = plt.subplots(1, 2, figsize=(8, 3.3), sharey=True)
for ax, start, colour, name in [
    (panels[0], shallow_start, SHALLOW, f"shallow: one step goes {alpha:.0%} of the way"),
    (panels[1], deep_start, DEEP, "deep: one step goes all the way"),
]:
    for theta in thetas:
        ax.plot(x, theta * x, color=GREY, lw=6, alpha=0.3)
        ax.plot(x, adapted_slope(start, theta) * x, color=colour)
    ax.plot(x, 0 * x, color=colour, ls=":")
    ax.set(title=name, xlabel="x")
panels[0].set_ylabel("f(x)")
panels[0].plot([], [], color=GREY, lw=6, alpha=0.3, label="the task")
panels[0].plot([], [], color=SHALLOW, ls=":", label="start")
panels[0].plot([], [], color=SHALLOW, label="after one step")
fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3,
           frameon=False)  # fmt: skip
plt.show()

# %% [markdown]
# **Check.** From $w = 0$ the shallow model goes the share $\alpha$ of the way to every task, a
# tenth. The deep model, which starts as the same function, $f(x) = 0$, arrives.

# %%
for theta in thetas:
    np.testing.assert_allclose(adapted_slope(shallow_start, theta), alpha * theta, rtol=1e-12)
    np.testing.assert_allclose(adapted_slope(deep_start, theta), theta, rtol=1e-12)
assert tl.end_to_end(shallow_start) == tl.end_to_end(deep_start) == 0

# %% [markdown]
# ## Does meta-training find such starts?
#
# Now the real thing: ten noisy points a task, and the start is *learned* by Adam on batches of
# sampled tasks. Along the way we plot the **exact** expected loss after adaptation, which
# `tl.closed_form.outer_loss` gives without any sampling. Four grey lines help to read it:
#
# - *no adaptation*: the loss of the best fixed function;
# - *shallow floor*: the lowest loss that **any** shallow start can have;
# - *deep floor*: the lowest loss that any start of two layers can have. It is not zero: a gradient
#   step on ten points depends on how large those points happen to be;
# - *Bayes*: the lowest loss that any learner can have who sees ten points.

# %%
tasks = tl.LinearRegression(noise_std=0.1, shots=10)
on_samples = tl.SampledLoss(tasks, rule, num_tasks=32, num_queries=10)


@jax.jit
def exact_losses(trajectory):
    """The exact outer loss of every set of parameters along the trajectories."""
    one = lambda params: tl.closed_form.outer_loss(params, tasks, rule)  # noqa: E731
    return jax.vmap(jax.vmap(one))(trajectory)


def curves(widths, seeds=5, num_steps=800):
    def run(key):
        start = tl.init(key, widths, 0.5)
        return tl.meta_train(
            on_samples, start, optax.adam(0.01), num_steps, key, trajectory=True
        ).trajectory

    paths = jax.vmap(run)(jax.random.split(jax.random.key(0), seeds))
    every_tenth = jax.tree.map(lambda w: w[:, ::10], paths)
    return np.asarray(exact_losses(every_tenth))


shallow, deep = curves((1, 1)), curves((1, 1, 1))
references = tl.reference_losses(tasks, rule)

# %%
fig, ax = plt.subplots(figsize=(6, 3.4))
iteration = 10 * np.arange(shallow.shape[1])
tl.plotting.training_curve(ax, iteration, shallow, SHALLOW, "shallow, $w x$")
tl.plotting.training_curve(ax, iteration, deep, DEEP, "deep, $w_2 w_1 x$")
ax.set_ylim(0, 0.62)
tl.plotting.reference_lines(ax, references)
ax.legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.42))
plt.show()

# %% [markdown]
# **Check.** No shallow run gets below the floor, and training it longer cannot help: all of them
# are there already. Every deep run goes down to the deep floor, at this step size far below.

# %%
floor, deep_floor, bayes = (references[name] for name in ("shallow floor", "deep floor", "Bayes"))
assert shallow.min() >= floor - 1e-12
assert shallow[:, -1].max() < 1.05 * floor  # trained to the end, and still stuck
assert deep[:, -1].max() < 1.1 * deep_floor
assert bayes < deep_floor < floor
if alpha == 0.1:  # how far apart they are depends on the step size
    assert deep_floor < 0.25 * floor

# %% [markdown]
# ## Why the shallow model is stuck
#
# One step of size $\alpha$ on the task $\theta$ turns $w$ into $w - \alpha s^2 (w - \theta)$, with
# $s^2 = \mathrm{Var}(x)$. What is left of the error is the factor $1 - \alpha s^2$, **whatever the
# start is**:
#
# $$\text{loss} = \tfrac12 s^2 (1 - \alpha s^2)^2 \left[(w - \mu)^2 + \tau^2\right]
# + \tfrac12 \sigma^2 .$$
#
# The best start is the mean task $w = \mu$, and there the spread $\tau^2$ of the tasks remains. The
# one thing that would help, the step size, is not a weight of the model.

# %%
tasks = tl.LinearRegression()  # mean 0, variances 1, no noise, population
w = np.linspace(-2, 2, 201)
loss = jax.vmap(lambda w: tl.closed_form.outer_loss((w.reshape(1, 1),), tasks, rule))(jnp.array(w))

fig, ax = plt.subplots(figsize=(5, 2.8))
ax.plot(w, loss, color=SHALLOW)
floor = float(tl.shallow_floor(tasks, rule))
ax.axhspan(0, floor, color=GREY, alpha=0.15, lw=0, label="no start gets here")
ax.set(xlabel="start $w$", ylabel="loss after adaptation", ylim=(0, 1.5), title="shallow")
ax.legend(frameon=False, loc="upper center")
plt.show()

# %%
np.testing.assert_allclose(loss, 0.5 * (1 - alpha) ** 2 * (w**2 + 1), rtol=1e-12, atol=1e-15)
np.testing.assert_allclose(floor, 0.5 * (1 - alpha) ** 2, rtol=1e-12, atol=1e-15)

# %% [markdown]
# ## What the second layer does
#
# From the start $(w_1, w_2) = (0, b)$ the gradient reaches $w_1$ through $w_2$, and $w_1$ acts on
# the output through $w_2$: one step moves the slope by $\alpha b^2$ times the gradient. **The upper
# weight is a learned step size.** The step is perfect when $\alpha b^2 s^2 = 1$, that is
# $b = 1/(s \sqrt{\alpha})$: $\sqrt{10}$ for $\alpha = 0.1$ and $s = 1$.

# %%
perfect = 1 / np.sqrt(alpha)
b = np.linspace(0, 1.33 * perfect, 200)
deep_loss = jax.vmap(
    lambda b: tl.closed_form.outer_loss((jnp.zeros((1, 1)), b.reshape(1, 1)), tasks, rule)
)(jnp.array(b))
shallow_tuned = jax.vmap(
    lambda b: tl.closed_form.outer_loss(model(0.0), tasks, tl.MAML(alpha * b**2))
)(jnp.array(b))

fig, ax = plt.subplots(figsize=(5, 2.8))
ax.plot(b, shallow_tuned, color=SHALLOW, lw=5, alpha=0.25, label=r"shallow, step size $\alpha b^2$")
ax.plot(b, deep_loss, color=DEEP, label=r"deep from $(0, b)$, step size $\alpha$")
ax.axvline(perfect, color=GREY, ls="--", lw=1)
ax.set(xlabel="upper weight $b$", ylabel="loss after adaptation", ylim=(0, 0.7))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# **Check.** The two curves are one: a deep model at $(0, b)$ is a shallow one with step size
# $\alpha b^2$. It holds at any number of shots and any noise, not only in this picture.

# %%
np.testing.assert_allclose(deep_loss, shallow_tuned, rtol=1e-12)
np.testing.assert_allclose(
    tl.closed_form.outer_loss(model(0.0, perfect), tasks, rule), 0, atol=1e-15
)
few = tl.LinearRegression(noise_std=0.3, shots=3)
np.testing.assert_allclose(
    tl.closed_form.outer_loss(model(0.0, 2.0), few, rule),
    tl.closed_form.outer_loss(model(0.0), few, tl.MAML(alpha * 2.0**2)),
    rtol=1e-12,
)

# %% [markdown]
# ## The same in 20 dimensions, on a classifier
#
# The story is not about one number. Here are binary tasks in 20 dimensions, ten points each, and
# logistic regression (*LogR*) against the same with one linear layer added below it (*LinNet*),
# which adds no capacity: a product of linear maps is a linear map.

# %%
binary = tl.BinaryClassification(dim=20, mean_std=0.5, shots=10)
binary_loss = tl.SampledLoss(binary, tl.MAML(0.03), num_tasks=32)


def binary_curve(widths, num_steps=300):
    start = tl.init(jax.random.key(0), widths, 1.0)
    loss = tl.meta_train(binary_loss, start, optax.adam(0.01), num_steps, jax.random.key(1)).loss
    return np.convolve(loss, np.ones(20) / 20, mode="valid")


logr, linnet = binary_curve((20, 1)), binary_curve((20, 20, 1))

fig, ax = plt.subplots(figsize=(5, 2.8))
ax.plot(logr, color=SHALLOW, label="LogR")
ax.plot(linnet, color=DEEP, label="LogR + LinNet")
ax.axhline(np.log(2), color=GREY, ls="--", lw=1)
ax.annotate("guessing", (280, np.log(2)), (0, 2), textcoords="offset points", color=GREY,
            ha="right")  # fmt: skip
ax.set(xlim=(0, 280), ylim=(0, None), xlabel="meta-iteration", ylabel="loss after adaptation")
ax.legend(frameon=False)
plt.show()

# %%
assert abs(logr[-1] - np.log(2)) < 0.1  # no better than guessing, by much
assert linnet[-1] < 0.5 * logr[-1]

# %% [markdown]
# ## Exercises
#
# Each solution is folded below its exercise, in Jupyter and on the site: click it open when you
# have yours.

# %% [markdown]
# **Exercise 1.** With $\alpha = 0.1$ one step of the shallow model goes a tenth of the way. After
# how many steps from $w = 0$ is it within 1 % of the task?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# Each step leaves 0.9 of the error: 0.9 ** T < 0.01, so T = 44.
needed = int(np.ceil(np.log(0.01) / np.log(0.9)))
support = tl.LinearRegression().population(jnp.array([1.0]))
left = [
    1 - float(tl.end_to_end(tl.closed_form.adapt(model(0.0), support, tl.MAML(0.1, steps)))[0, 0])
    for steps in (needed - 1, needed)
]
assert needed == 44
assert left[1] < 0.01 < left[0]

# %% [markdown]
# **Exercise 2.** The inputs now have variance $s^2 = 4$. For which one step size does the shallow
# model adapt perfectly, and from which starts?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# What is left is 1 - alpha s^2, and nothing at alpha = 1/4, wherever it starts.
wide = tl.LinearRegression(x_cov=4.0)
for start in (0.0, 3.0):
    assert tl.closed_form.outer_loss(model(start), wide, tl.MAML(0.25)) == 0
assert tl.shallow_floor(wide, tl.MAML(0.1)) > 0.1

# %% [markdown]
# **Exercise 3.** Three layers, $f(x) = w_3 w_2 w_1 x$, from $(0, b, b)$: which weights does the
# step move, and for which $b$ is it perfect?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# Those of w_2 and w_3 carry w_1 = 0: they stay. The gradient of w_1 carries b^2, and so does
# w_1's way to the output: alpha b^4 = 1.
third = alpha**-0.25
three_layers = tl.closed_form.outer_loss(model(0.0, third, third), tasks, rule)
np.testing.assert_allclose(three_layers, 0, atol=1e-15)
assert tl.closed_form.outer_loss(model(0.0, 1.1 * third, third), tasks, rule) > 0.01

# %% [markdown]
# **Try it.** Set `alpha = 1.0` in the second cell of code and run all cells again; the checks
# follow it. It is the one step size at which the shallow model needs no help, as long as data are
# unlimited. On ten points it is a little too long, and the deep model, which can shorten it, stays
# ahead: the best there is about $1/(1 + 2/K) = 0.83$. Then read on: [2. The loss
# surface](02_loss_surface.ipynb) shows where the deep model's good starts lie and how meta-training
# gets there.
