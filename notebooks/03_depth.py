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
# # 3. Depth
#
# Two layers can do what one cannot. Are more layers better still? We meta-train models of one to
# six layers over many step sizes and many random starts: a *sweep*. `tl.sweep` runs all of them in
# a few compiled programs and returns a labelled array.

# %% [markdown]
# **What you will be able to do** (25 minutes, and 15 for the exercises):
#
# - run thousands of meta-trainings as one sweep, and read its labelled result;
# - say what more layers repair, what they do not, and when they stop helping;
# - tell whether a mean over sampled tasks can be trusted.

# %%
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import toylin as tl

plt.rcParams.update({"figure.constrained_layout.use": True})

# %% [markdown]
# ## The sweep
#
# Six depths, 38 inner step sizes, seven random starts: 1596 meta-training runs by Adam on the exact
# loss, one compiled program per depth. The result is an `xarray.Dataset`, a stack of arrays whose
# axes have names; click on it in Jupyter to look inside.

# %%
tasks = tl.LinearRegression(noise_std=0.1)
noise_floor = 0.1**2 / 2
depths = [1, 2, 3, 4, 5, 6]
step_sizes = np.sort([0.01, *np.linspace(-0.5, 4, 37)])

runs = tl.sweep(tasks, over={"depth": depths, "step_size": step_sizes}, num_steps=1000, seeds=7)
runs

# %% [markdown]
# ## Three step sizes
#
# With $\mathrm{Var}(x) = 1$ and all the data it wants, one inner step should have size 1. What if
# it is a hundred times too small, or four times too large? Curves are medians over seven random
# starts, bands their quartiles; the dashed line is the label noise, $\sigma^2/2$, which nobody gets
# below.

# %%
sizes = {"far too small": 0.01, "right": 1.0, "too large": 4.0}

fig, panels = plt.subplots(1, 3, figsize=(9, 3), sharey=True)
for ax, (name, size) in zip(panels, sizes.items()):
    runs.sel(step_size=size).toylin.plot_training("depth", ax=ax)
    ax.set(title=f"{name}, α = {size:g}", ylim=(3e-3, 12))
    tl.plotting.reference_lines(ax, {"noise floor": noise_floor})
    ax.get_legend().set_visible(ax is panels[1])
plt.show()

# %% [markdown]
# **Check.** One layer adapts at the right step size only (its black curve in the middle lies on the
# dashed line from the start). Where the step is too small every deeper
# model repairs it, and the deeper the sooner. Where the step is too *large*, two layers repair it,
# and six, from most starts, have not.

# %%
final = runs.final_loss.where(~runs.diverged, np.inf).median("seed")
one_layer = [float(tl.shallow_floor(tasks, tl.MAML(size))) for size in sizes.values()]
np.testing.assert_allclose(final.sel(depth=1, step_size=list(sizes.values())), one_layer, rtol=1e-3)
assert one_layer[1] < 1.01 * noise_floor < 0.05 * min(one_layer[0], one_layer[2])

too_small = runs.loss.sel(step_size=0.01).median("seed")
assert bool((final.sel(step_size=0.01, depth=[3, 4, 5, 6]) < 1.1 * noise_floor).all())
reached = [int(np.argmax(too_small.sel(depth=d).values < 0.1)) for d in (3, 4, 5, 6)]
assert reached == sorted(reached, reverse=True)  # the deeper the sooner

assert float(final.sel(step_size=4.0, depth=2)) < 1.1 * noise_floor
assert float(final.sel(step_size=4.0, depth=6)) > 10 * noise_floor

# %% [markdown]
# ## The phase diagram
#
# All step sizes of the sweep, from $-0.5$ to 4, after meta-training. Bright cells adapt; hatched
# ones are no better than not adapting at all. (Seven starts are few: a pale patch may be chance.)

# %%
runs.toylin.plot("step_size", "depth").axvline(0, color="black", ls=":", lw=1)
plt.show()

# %% [markdown]
# **Check.** One layer is a narrow column around $\alpha = 1$. Two layers cover every positive step
# size that is not tiny. And *no* depth turns a negative step into adaptation: upper layers multiply
# the step by squares, and a square cannot change its sign.

# %%
adapts = final < 2 * noise_floor
width = adapts.sum("step_size")
assert int(width.sel(depth=1)) <= 3
assert int(width.sel(depth=2)) > 25
assert not bool(adapts.sel(step_size=step_sizes[step_sizes <= 0]).any())
assert int(width.sel(depth=6)) < int(width.sel(depth=2))  # more is not always more

# %% [markdown]
# ## When more depth stops helping: small starts
#
# The gradient of a product of $L$ small numbers is tiny. Start all weights near $0.3$, as many
# initialisations do, train by plain gradient descent, and the plateau around the origin grows with
# every layer. (Adam, above, hides this: it rescales small gradients.)

# %%
small = tl.sweep(
    tasks,
    tl.MAML(0.3),
    over={"depth": [2, 4, 6], "scale": [0.3, 1.0]},
    optimizer=tl.Optimizer("sgd", 0.1),
    num_steps=2000,
    seeds=15,
)
by_scale = small.loss.where(~small.diverged, np.inf).median("seed")

fig, panels = plt.subplots(1, 2, figsize=(7.5, 2.8), sharey=True)
for ax, (scale, name) in zip(panels, {0.3: "small start", 1.0: "large start"}.items()):
    small.sel(scale=scale).toylin.plot_training("depth", ax=ax)
    ax.set_title(f"{name}, weights about {scale:g}")
    tl.plotting.reference_lines(ax, {"noise floor": noise_floor})
plt.show()

# %% [markdown]
# **Check.** From a small start two layers arrive, four arrive later, and six have not moved (a loss
# of 0.505 is no adaptation). From a large start all arrive.

# %%
end = by_scale.isel(iteration=-1)
assert float(end.sel(scale=0.3, depth=[2, 4]).max()) < 1.1 * noise_floor
assert float(end.sel(scale=0.3, depth=6)) > 0.99 * 0.505
assert float(end.sel(scale=1.0).max()) < 1.1 * noise_floor
first = [int(np.argmax(by_scale.sel(scale=0.3, depth=d).values < 0.1)) for d in (2, 4)]
assert first[0] < first[1]

# %% [markdown]
# ## A trap: means that no sample sees
#
# With few shots a deep model can also blow up, on the rare task whose five points happen to be
# large. How bad is that? Three layers, two inner steps, five shots: the exact expected loss, and
# where the losses of a hundred thousand sampled tasks lie.

# %%
few = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
params = tuple(jnp.array([[w]]) for w in (0.7, -0.9, 1.1))
two_steps = tl.MAML(step_size=0.1, steps=2)

exact = float(tl.closed_form.outer_loss(params, few, two_steps))
numbers = [10**k for k in range(1, 6)]
losses = tl.autodiff.task_losses(params, few.sample(jax.random.key(0), numbers[-1]), two_steps)
sampled = [float(losses[:n].mean()) for n in numbers]
tail = tl.tails(params, few, two_steps)

tail.plot(losses=losses)
plt.show()
print(tail.message())

# %% [markdown]
# **Check.** Both are right. The expectation is a million, carried by supports too rare to be drawn;
# samples look fine however many there are. So wherever toylin shows such a mean it says so
# (`tl.tails`), and the median is what a typical task gets.

# %%
np.testing.assert_allclose(exact, 1050436.1173201865, rtol=1e-9)
assert max(sampled) < 10
assert tail.dominated
assert float(tail.median) < 0.5

# %% [markdown]
# ## Exercises
#
# Each solution is folded below its exercise, in Jupyter and on the site: click it open when you
# have yours.

# %% [markdown]
# **Exercise 1.** At which number of layers do the most step sizes of the sweep adapt? Which of
# those step sizes does one layer manage?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# Two layers; and one layer only those next to 1.
assert int(width.idxmax("depth")) == 2
one = adapts.sel(depth=1)
np.testing.assert_allclose(step_sizes[one.values], 1, atol=0.15)

# %% [markdown]
# **Exercise 2.** The curves of six layers at $\alpha = 4$ are medians. Does no start arrive, or
# do some?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# Some do. A median says what a typical start does, and no more.
arrived = runs.final_loss.sel(step_size=4.0, depth=6) < 2 * noise_floor
assert 0 < int(arrived.sum()) < len(arrived) / 2

# %% [markdown]
# **Exercise 3.** Take the step of the trap, 0.1, three times smaller. Is the mean still carried
# by supports that no sample sees?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# No: the expected loss is below 1, and samples see all of it.
shorter = tl.MAML(step_size=0.03, steps=2)
assert not tl.tails(params, few, shorter).dominated
assert tl.closed_form.outer_loss(params, few, shorter) < 1

# %% [markdown]
# Next: [4. The upper layers as a meta-optimizer](04_meta_optimizer.ipynb). What is it that they do?
