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
# # 2. The loss surface
#
# A deep scalar model $f(x) = w_2 w_1 x$ has two weights, so that the loss after adaptation is a
# landscape that one can look at. Where are its minima? What is at the origin? Which start ends
# where? All of it is computed from a formula: nothing here is sampled.

# %% [markdown]
# **What you will be able to do** (30 minutes, and 15 for the exercises):
#
# - read the loss after adaptation as a landscape over the weights: minima, saddles, basins;
# - say where its minima lie and how step size, shots and noise move them;
# - find such points, and the step sizes at which they vanish, for a problem of your own.

# %%
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import toylin as tl
from toylin.plotting import DEEP
from toylin.plotting import REFERENCE as GREY

TOP = 1.4  # colours end here; the surface goes on
plt.rcParams.update({"figure.constrained_layout.use": True})

# %% [markdown]
# ## The landscape
#
# The height at $(w_1, w_2)$ is the expected loss after one step of size $\alpha = 0.1$ from there.
# `tl.surface` evaluates a loss on a plane through parameter space, and `tl.solve_critical_points`
# finds where its gradient vanishes. Whatever such a function returns has a method `plot`.

# %%
tasks = tl.LinearRegression()  # theta ~ N(0, 1), x ~ N(0, 1), no noise, population
rule = tl.MAML(step_size=0.1)
loss = tl.ExactLoss(tasks, rule)

zero, one = jnp.zeros((1, 1)), jnp.ones((1, 1))
plane = tl.surface(loss, (zero, zero), ((one, zero), (zero, one)), extent=3.9, resolution=131)
points = tl.solve_critical_points(tasks, rule)


def landscape(ax):
    """Filled contours of the surface, and its critical points."""
    points.plot(plane.plot(ax, top=TOP))
    ax.set(xlabel="lower weight $w_1$", ylabel="upper weight $w_2$")


fig = plt.figure(figsize=(9, 4.2))
left = fig.add_subplot(1, 2, 1)
landscape(left)
fig.legend(loc="outside lower center", ncols=3, frameon=False)
right = fig.add_subplot(1, 2, 2, projection="3d", computed_zorder=False)
plane.plot_relief(right, top=TOP, reach=3.4).set(xlabel="$w_1$", ylabel="$w_2$")
plt.show()

# %% [markdown]
# **Check.** There are four global minima, $(0, \pm\sqrt{10})$ and $(\pm\sqrt{10}, 0)$, at which one
# step solves every task. The origin, where deep networks are usually started small, is a local
# *maximum*. `tl.solve_critical_points` found every critical point as a root of a polynomial: 17.

# %%
minima = points.points[points.index == 0]
root = np.sqrt(10)
expected = {(0.0, root), (0.0, -root), (root, 0.0), (-root, 0.0)}
assert {tuple(np.round(m, 6) + 0.0) for m in minima} == {
    tuple(np.round(m, 6) + 0.0) for m in expected
}
np.testing.assert_allclose(points.loss[points.index == 0], 0, atol=1e-12)

assert [points.kind().count(k) for k in ("minimum", "saddle", "maximum")] == [4, 8, 5]
at_origin = np.argmin(np.linalg.norm(points.points, axis=1))
assert points.kind()[at_origin] == "maximum"
np.testing.assert_allclose(points.loss[at_origin], 0.5, rtol=1e-12)

# %% [markdown]
# ## Meta-training rolls down
#
# Adam on the exact loss, from 16 starts around the origin. `trajectory=True` keeps the parameters
# of every iteration, and `jax.vmap` runs all the starts at once.

# %%
angle = 2 * np.pi * (np.arange(16) + 0.35) / 16
starts = jnp.asarray(0.4 * np.stack([np.cos(angle), np.sin(angle)], axis=-1))


def roll(start):
    params = (start[:1, None], start[1:, None])
    run = tl.meta_train(loss, params, optax.adam(0.02), num_steps=3000, trajectory=True)
    return jnp.concatenate([w[:, :, 0] for w in run.trajectory], axis=1)


paths = np.asarray(jax.vmap(roll)(starts))

fig, ax = plt.subplots(figsize=(5.2, 4.6))
landscape(ax)
for path in paths:
    ax.plot(*path.T, color=DEEP, lw=1)
    ax.plot(*path[0], ".", color=DEEP)
ax.set_title("meta-training from 16 starts")
plt.show()

# %% [markdown]
# **Check.** Every start ends at one of the four minima, and all four are found.

# %%
distance = np.linalg.norm(paths[:, -1, None] - minima, axis=-1)
assert distance.min(axis=1).max() < 0.05
assert set(distance.argmin(axis=1)) == {0, 1, 2, 3}

# %% [markdown]
# ## Basins: which start ends where
#
# Colour every start by the minimum that it reaches, pale where it is reached fast. `tl.basins`
# follows all of them at once.

# %%
axis = np.linspace(-3.5, 3.5, 60)  # an even number: no start on a line of symmetry
grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
flat_loss = lambda w: loss((w[:1, None], w[1:, None]))  # noqa: E731
found = tl.basins(flat_loss, grid, minima, optax.adam(0.02), num_steps=6000, radius=0.05)
target = np.asarray(found.target).reshape(60, 60)

found.plot().set_title("starts, by their minimum")
plt.show()

# %% [markdown]
# **Check.** Every start here reaches a minimum (grey would be: not within 6000 iterations), and the
# four basins are equally large: swapping the layers, or flipping both signs, changes nothing.

# %%
reached = target >= 0
assert reached.all()
shares = np.bincount(target[reached], minlength=4) / reached.sum()
np.testing.assert_allclose(shares, 0.25, atol=0.02)

# %% [markdown]
# ## Turn the knobs
#
# What do step size, shots and noise do to the landscape? `tl.derive` derives its formula,
# and `lambdify` makes a function of it, in arithmetic so simple that a slider can redraw 10,000
# points at once.

# %%
derivation = tl.derive(depth=2, steps=1)
derivation

# %%
population_loss, few_shot_loss = derivation.lambdify(), tl.derive(2, 1, "K").lambdify()

side = np.linspace(-4, 4, 101)
mesh = np.meshgrid(side, side, indexing="ij")


def heights(alpha, shots=None, noise=0.0):
    """The loss on the mesh; `shots=None` is the population."""
    if shots is None:
        return population_loss(mesh, alpha, 0.0, 1.0, 1.0, noise)
    return few_shot_loss(mesh, alpha, 0.0, 1.0, 1.0, noise, shots)


def draw(ax, alpha, shots=None, noise=0.0):
    z = heights(alpha, shots, noise)
    tl.plotting.contours(ax, side, side, z, TOP)
    per_shot = 0 if shots is None else 1 / shots
    b = np.sqrt(1 / (alpha * (1 + 2 * per_shot + noise**2 * per_shot)))  # checked below
    ax.plot([0, 0, b, -b], [b, -b, 0, 0], "*", markersize=11, mfc="white", mec="black")
    data = "population" if shots is None else f"{shots} shot{'s' if shots > 1 else ''}"
    lowest = abs(1 - alpha * b**2) / 2 + noise**2 / 2
    ax.set(aspect="equal", title=f"α = {alpha:.2f}, {data}, σ = {noise:.1f}\nlowest {lowest:.3f}")


fig, panels = plt.subplots(2, 3, figsize=(9, 6.4), sharex=True, sharey=True)
for ax, setting in zip(panels.flat, [(0.1,), (0.25,), (0.8,), (0.1, 5), (0.1, 1), (0.1, 5, 1.0)]):
    draw(ax, *setting)
fig.supxlabel("$w_1$")
fig.supylabel("$w_2$")
plt.show()

# %% [markdown]
# Top row: a larger step brings the minima closer, at distance $1/\sqrt{\alpha}$. Bottom row: fewer
# shots and more noise raise the floor, and the best upper weight shrinks. The gradient from a few
# points is larger or smaller as these points happen to be, which no one step size can undo, and
# noise adds to it: step less.
#
# Now your turn (in a running Jupyter; on a static page, the six pictures above have to do).

# %%
try:
    from IPython.display import display
    from ipywidgets import FloatSlider, SelectionSlider, interactive
except ImportError:
    print("Install ipywidgets to get sliders here:  python -m pip install ipywidgets")
else:

    def explore(alpha, shots, noise):
        _, ax = plt.subplots(figsize=(4.6, 4.6))
        draw(ax, alpha, None if np.isinf(shots) else shots, noise)
        plt.show()

    sliders = interactive(
        explore,
        alpha=FloatSlider(value=0.1, min=0.1, max=1.0, step=0.05, description="step size α"),
        shots=SelectionSlider(
            options=[
                ("1", 1),
                ("2", 2),
                ("5", 5),
                ("10", 10),
                ("100", 100),
                ("population", np.inf),
            ],
            value=np.inf,
            description="shots",
        ),
        noise=FloatSlider(value=0.0, min=0.0, max=1.0, step=0.1, description="noise σ"),
    )
    display(sliders)

# %% [markdown]
# **Check.** The derived formula is the package's closed form, and the lowest point of the surface
# is where the theory says: at $(0, b)$ with $\alpha b^2 = 1 / (1 + 2/K + \sigma^2/K)$.

# %%
for alpha, shots, noise in [(0.1, None, 0.0), (0.3, None, 0.5), (0.1, 5, 0.0), (0.2, 3, 0.7)]:
    setting = tl.LinearRegression(noise_std=noise, shots=shots)
    step = tl.MAML(alpha)
    for i, j in [(17, 60), (90, 42)]:
        params = (jnp.full((1, 1), side[i]), jnp.full((1, 1), side[j]))
        np.testing.assert_allclose(
            heights(alpha, shots, noise)[i, j],
            tl.closed_form.outer_loss(params, setting, step),
            rtol=1e-10,
        )
    best = tl.deep_optimum(setting, step)
    share = 0.0 if shots is None else 1 / shots
    np.testing.assert_allclose(
        alpha * best[1][0, 0] ** 2, 1 / (1 + 2 * share + noise**2 * share), rtol=1e-12
    )
    floor = float(tl.deep_floor(setting, step))
    lowest = (1 - alpha * float(best[1][0, 0]) ** 2) / 2 + noise**2 / 2
    np.testing.assert_allclose(
        [tl.closed_form.outer_loss(best, setting, step), lowest], floor, rtol=1e-10, atol=1e-14
    )
    assert heights(alpha, shots, noise).min() >= floor - 1e-12

# %% [markdown]
# ## The landscape changes shape
#
# At $\alpha = 0.1$ there were 17 critical points. Make the step larger and rings of saddles and
# maxima meet and vanish. `tl.find_bifurcations` follows the points and bisects.

# %%
alphas = np.geomspace(0.05, 1.0, 60)
counts = [len(tl.solve_critical_points(tasks, tl.MAML(float(a))).points) for a in alphas]
(event,) = tl.find_bifurcations(
    lambda a: tl.solve_critical_points(tasks, tl.MAML(a)), [0.1, 0.2, 0.3, 0.5]
)

fig, ax = plt.subplots(figsize=(5, 2.4))
ax.step(alphas, counts, where="mid", color=DEEP)
ax.axvline(event.value, color=GREY, ls="--", lw=1)
ax.set(xscale="log", xlabel="inner step size α", ylabel="critical points", ylim=(0, 20))
plt.show()

# %%
np.testing.assert_allclose(event.value, 0.2675, atol=1e-4)
assert event.below == (4, 8, 5)  # minima, saddles, maxima
assert event.above == (4, 4, 1)

# %% [markdown]
# ## Exercises
#
# Each solution is folded below its exercise, in Jupyter and on the site: click it open when you
# have yours.

# %% [markdown]
# **Exercise 1.** The inputs now have variance $s^2 = 4$, and $\alpha = 0.1$ as before. Where are
# the minima?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# The step is perfect where alpha s^2 b^2 = 1: at b = sqrt(10) / 2, half as far out.
wider = tl.solve_critical_points(tl.LinearRegression(x_cov=4.0), rule)
distances = np.linalg.norm(wider.points[wider.index == 0], axis=1)
np.testing.assert_allclose(distances, np.sqrt(10) / 2, rtol=1e-9)

# %% [markdown]
# **Exercise 2.** Give the tasks the mean 1 instead of 0. The landscape loses some of its
# symmetry; what becomes of the minima?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# They stay: at (0, b) one step solves every task, wherever the tasks lie.
shifted = tl.solve_critical_points(tl.LinearRegression(theta_mean=1.0), rule)
lowest = shifted.points[shifted.index == 0]
assert {tuple(np.round(m, 6) + 0.0) for m in lowest} == {
    tuple(np.round(m, 6) + 0.0) for m in expected
}
np.testing.assert_allclose(shifted.loss[shifted.index == 0], 0, atol=1e-12)
assert len(shifted.points) < len(points.points)  # of the others, some have gone

# %% [markdown]
# **Exercise 3.** Start meta-training with both weights at zero. Where does it end?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# Where it starts: the origin is a critical point. Start networks away from zero.
assert not np.asarray(roll(jnp.zeros(2))).any()

# %% [markdown]
# Next: [3. Depth](03_depth.ipynb). If two layers are good, are six better?
