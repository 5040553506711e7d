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
# # 4. The upper layers as a meta-optimizer
#
# In one dimension the upper weight acts as a step size. In several it acts as a *matrix* that
# multiplies the gradient: a preconditioner. If that is all that depth does, then a shallow model
# with a learned preconditioner should do as well. It does: this is the paper's **Meta-KFO**.

# %% [markdown]
# **What you will be able to do** (30 minutes, and 20 for the exercises):
#
# - say what upper layers do to the gradient of the lower ones: they precondition it;
# - compare a deep model with a shallow one that learns its preconditioner (Meta-KFO);
# - compute the preconditioner that a model of your own induces.

# %%
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import toylin as tl
from toylin.plotting import DEEP, SHALLOW
from toylin.plotting import REFERENCE as GREY
from toylin.plotting import SECOND as BLUE
from toylin.plotting import THIRD as ORANGE

plt.rcParams.update(
    {"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False}
)

# %% [markdown]
# ## Inputs that are correlated
#
# Tasks $y = \theta^\top x$ in four dimensions whose inputs vary much along some directions and
# little along others. One gradient step of any single size is too long for the first or too short
# for the last. The perfect preconditioner is the inverse covariance $\Sigma^{-1}$.

# %%
rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
covariance = jnp.asarray(rotation * [2.0, 1.0, 0.5, 0.1] @ rotation.T)
tasks = tl.LinearRegression(dim=4, theta_mean=0.5, x_cov=covariance)

shallow = (jnp.zeros((1, 4)),)
deep = tl.add_linear_layers(shallow, num_layers=1)  # LinNet: an identity layer below

# %% [markdown]
# Four contenders. All start as the same function with the same first step, and learn their start
# and their rule (the step size too) together: `tl.joint` makes the pair (params, rule) the thing
# that is trained. The dashed lines are the lowest losses possible on a shallow model, in closed
# form, when the preconditioner is a number or a diagonal.

# %%
contenders = {
    "shallow + MAML": (shallow, tl.MAML(0.1), SHALLOW, "-"),
    "shallow + Meta-SGD": (shallow, tl.MetaSGD.identity(shallow, 0.1), ORANGE, "-"),
    "shallow + Meta-KFO": (shallow, tl.MetaKFO.identity(shallow, 0.1, psd=True), BLUE, "-"),
    "deep + MAML": (deep, tl.MAML(0.1), DEEP, "--"),
}


def train(params, rule, num_steps=1200):
    loss, pair = tl.joint(tl.ExactLoss(tasks, rule), params)
    return tl.meta_train(loss, pair, optax.adam(0.01), num_steps)


runs = {name: train(params, rule) for name, (params, rule, *_) in contenders.items()}
best = {kind: tl.best_preconditioner(tasks, kind) for kind in ("scalar", "diagonal")}

fig, ax = plt.subplots(figsize=(6, 3.4))
for name, (_, _, colour, line) in contenders.items():
    ax.semilogy(runs[name].loss, color=colour, ls=line, label=name)
ax.set(xlim=(0, 1200), ylim=(1e-4, 3), xlabel="meta-iteration", ylabel="loss after adaptation")
tl.plotting.reference_lines(
    ax,
    {
        "best possible shallow MAML": best["scalar"].loss,
        "best possible shallow Meta-SGD": best["diagonal"].loss,
    },
)
ax.legend(frameon=False, loc="lower left")
plt.show()

# %% [markdown]
# **Check.** MAML and Meta-SGD end at their floors; Meta-KFO and the deep model go far below. Both
# rest for a while near 0.05: that is what the direction of variance 0.1 costs,
# $\frac12 \cdot 0.1$, until the preconditioner has grown for it.

# %%
end = {name: float(run.loss[-1]) for name, run in runs.items()}
np.testing.assert_allclose(end["shallow + MAML"], best["scalar"].loss, rtol=1e-3)
np.testing.assert_allclose(end["shallow + Meta-SGD"], best["diagonal"].loss, rtol=1e-2)
assert end["shallow + Meta-KFO"] < 0.05 * float(best["diagonal"].loss)
assert end["deep + MAML"] < 0.05 * float(best["diagonal"].loss)

# %% [markdown]
# ## Look at the preconditioners
#
# The deep model was never told about preconditioners. Ask it for the matrix $P$ by which one step
# moves its end-to-end weights, $w \leftarrow w - P \cdot \text{gradient}$, and compare it with
# the one that Meta-KFO has learned.

# %%
found = {name: tl.induced_preconditioner(*run.params) for name, run in runs.items()}
inverse = jnp.linalg.inv(covariance)
shown = [
    ("shallow + MAML:\na number", found["shallow + MAML"], SHALLOW),
    ("deep + MAML:\ninduced by the layers", found["deep + MAML"], DEEP),
    ("shallow + Meta-KFO:\nlearned", found["shallow + Meta-KFO"], BLUE),
    ("the best:\ninverse covariance", inverse, GREY),
]
limit = float(jnp.abs(inverse).max())
fig, panels = plt.subplots(1, 4, figsize=(8.5, 2.5))
for ax, (name, matrix, colour) in zip(panels, shown):
    ax.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title(name, color=colour, fontsize=9)
plt.show()

# %% [markdown]
# **Check.** The two learned matrices point the same way: the angle between them, as vectors, is
# small, and both lie close to $\Sigma^{-1}$, unlike the multiple of the identity that MAML has.

# %%
assert float(tl.matrix_angle(found["deep + MAML"], found["shallow + Meta-KFO"])) < 5
assert float(tl.matrix_angle(found["deep + MAML"], inverse)) < 15
assert float(tl.matrix_angle(found["shallow + MAML"], inverse)) > 30

# %% [markdown]
# ## Is the induced preconditioner what really happens?
#
# It is the first-order term. For layers $W_L \cdots W_1$ one step moves the end-to-end matrix by
#
# $$-\alpha \sum_i (A_i A_i^\top)\, G\, (B_i^\top B_i) + O(\alpha^2),
# \qquad A_i = W_L \cdots W_{i+1}, \quad B_i = W_{i-1} \cdots W_1,$$
#
# a sum of Kronecker factors, which is what "KFO" stands for: Kronecker-*factored* optimizer. We
# take one step with smaller and smaller $\alpha$ and look at what the formula leaves out.

# %%
params = tl.init(jax.random.key(3), widths=(4, 4, 4, 1))
support = tasks.population(jnp.array([[1.0, -0.5, 0.2, 0.8]]))
support_one = jax.tree.map(lambda a: a[0], support)
gradient = covariance @ (tl.end_to_end(params)[0] - support_one.theta)


def remainder(alpha):
    rule = tl.MAML(alpha)
    moved = tl.end_to_end(tl.closed_form.adapt(params, support_one, rule))
    predicted = tl.end_to_end(params) - tl.induced_preconditioner(params, rule) @ gradient
    return float(jnp.linalg.norm(moved - predicted))


alphas = np.array([0.04, 0.02, 0.01, 0.005])
left = np.array([remainder(a) for a in alphas])

fig, ax = plt.subplots(figsize=(4.2, 2.8))
ax.loglog(alphas, left, "o-", color=DEEP, label="left out")
ax.loglog(alphas, left[-1] * (alphas / alphas[-1]) ** 2, color=GREY, ls="--", label=r"$\alpha^2$")
ax.set(xlabel="inner step size α", ylabel="distance", xticks=alphas, xticklabels=alphas)
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()

# %%
ratios = left[:-1] / left[1:]
np.testing.assert_allclose(ratios, 4, rtol=0.2)  # half the step, a quarter of the remainder
assert left[0] < 0.5 * float(jnp.linalg.norm(gradient))

# %% [markdown]
# ## ANIL: adapt the head only
#
# ANIL freezes all layers but the last while it adapts. In $f(x) = w_2 w_1 x$ the head moves by
# $-\alpha w_1 g$ ($g$ is the end-to-end gradient), so that the slope moves by $-\alpha w_1^2 g$:
# the frozen *lower* weight has become the step size, and **exactly**, at every start.

# %%
line = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
w1 = np.linspace(-5, 5, 101)


def scalar(*weights):
    return tuple(jnp.asarray(w, float).reshape(1, 1) for w in weights)


anil = jax.vmap(lambda w: tl.closed_form.outer_loss(scalar(w, 0.3 / w), line, tl.ANIL(0.1)))(
    jnp.array(w1 + 1e-9)
)
tuned = jax.vmap(lambda w: tl.closed_form.outer_loss(scalar(0.3), line, tl.MAML(0.1 * w**2)))(
    jnp.array(w1 + 1e-9)
)

fig, ax = plt.subplots(figsize=(5, 2.8))
ax.plot(w1, tuned, color=SHALLOW, lw=5, alpha=0.25, label=r"shallow + MAML, step $\alpha w_1^2$")
ax.plot(w1, anil, color=DEEP, label=r"deep + ANIL, step $\alpha$")
ax.set(xlabel="frozen lower weight $w_1$", ylabel="loss after adaptation", ylim=(0, 1))
ax.legend(frameon=False)
plt.show()

# %%
np.testing.assert_allclose(anil, tuned, rtol=1e-9)

# %% [markdown]
# ## LinNet, and what is left to gain
#
# `tl.add_linear_layers` puts identity layers into a trained model. Nothing changes in what it
# computes; what changes is how it learns. And the more layers a model has, the less there is left
# for Meta-KFO to add.

# %%
depths = [1, 2, 3]
short = 240


def loss_after(depth, kfo):
    params = tl.add_linear_layers(shallow, depth - 1)
    rule = tl.MetaKFO.identity(params, 0.1, psd=True) if kfo else tl.MAML(0.1)
    return float(train(params, rule, short).loss[-1])


maml = np.array([loss_after(depth, kfo=False) for depth in depths])
meta_kfo = np.array([loss_after(depth, kfo=True) for depth in depths])

fig, ax = plt.subplots(figsize=(4.6, 2.8))
ax.fill_between(depths, meta_kfo, maml, color=GREY, alpha=0.2, lw=0, label="gain of Meta-KFO")
ax.plot(depths, maml, "o-", color=DEEP, label="MAML")
ax.plot(depths, meta_kfo, "s-", color=BLUE, label="Meta-KFO")
ax.set(xlabel="layers", xticks=depths, ylabel=f"loss after {short} iterations", ylim=(0, None))
ax.legend(frameon=False)
plt.show()

# %%
gain = maml - meta_kfo
assert gain[0] > gain[1] > gain[2] > 0

trained = runs["shallow + MAML"].params[0]
lifted = tl.add_linear_layers(trained, num_layers=2)
np.testing.assert_allclose(tl.end_to_end(lifted), tl.end_to_end(trained), rtol=1e-12)
step = tl.MAML(0.1)
assert abs(
    float(tl.closed_form.outer_loss(lifted, tasks, step))
    - float(tl.closed_form.outer_loss(trained, tasks, step))
) > 0.01  # fmt: skip

# %% [markdown]
# ## Exercises
#
# Each solution is folded below its exercise, in Jupyter and on the site: click it open when you
# have yours.

# %% [markdown]
# **Exercise 1.** For which inputs is a diagonal preconditioner (Meta-SGD) as good as any?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# For uncorrelated ones: the inverse of a diagonal covariance is diagonal.
uncorrelated = tl.LinearRegression(dim=4, x_cov=jnp.diag(jnp.array([2.0, 1.0, 0.5, 0.1])))
np.testing.assert_allclose(tl.best_preconditioner(uncorrelated, "diagonal").loss, 0, atol=1e-12)
assert best["diagonal"].loss > 0.01  # of the correlated ones above

# %% [markdown]
# **Exercise 2.** Which preconditioner does `deep` induce before any training? Is depth by itself
# enough?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# The identity times alpha, which is what the shallow model has: the layers have to be learned.
untrained = tl.induced_preconditioner(deep, tl.MAML(0.1))
np.testing.assert_allclose(untrained, 0.1 * np.eye(4), atol=1e-12)

# %% [markdown]
# **Exercise 3.** ANIL on three layers: which step size of the shallow model equals it, at weights
# $(w_1, w_2, w_3)$?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# The frozen layers multiply the step by (w_2 w_1)^2.
three_layers = tl.closed_form.outer_loss(scalar(0.5, 0.8, 0.3 / 0.4), line, tl.ANIL(0.1))
one_layer = tl.closed_form.outer_loss(scalar(0.3), line, tl.MAML(0.1 * 0.4**2))
np.testing.assert_allclose(three_layers, one_layer, rtol=1e-12)

# %% [markdown]
# Next: [5. Checking a closed form of your own](05_check_your_closed_form.ipynb).
