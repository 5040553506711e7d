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
# # 6. Real images
#
# On toy tasks everything can be computed. Does the claim hold on images, where nothing can? Here it
# is tried on handwritten digits that come with scikit-learn, so that no download is needed, and on
# Omniglot if you have it. A model learns to tell three digits apart from *one* image of each, and
# is tested on digits that it never met in training.

# %% [markdown]
# **What you will be able to do** (20 minutes, and 10 for the exercises; it runs in one):
#
# - make few-shot tasks of images of your own, split by class;
# - train any model with any rule on them, and measure the accuracy on unseen classes;
# - say what on real images depth does, and what does it instead.

# %%
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.datasets import load_digits

import toylin as tl
from toylin.plotting import DEEP, SHALLOW
from toylin.plotting import SECOND as BLUE

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})

OMNIGLOT = None  # the folder of Omniglot's two zips, if you have them

# %% [markdown]
# ## Tasks of images
#
# `ImageClasses` is an array of shape (classes, examples, height, width, channels). Digits 0 to 5
# are for training, each turned by 0, 90, 180 and 270 degrees, which makes 24 classes of 6; digits 6
# to 9 are for the test. **The split is by class**: no image of a test digit is ever trained on.

# %%
pixels, label = load_digits(return_X_y=True)
count = np.bincount(label).min()
images = np.stack([pixels[label == digit][:count] for digit in range(10)])
digits = tl.ImageClasses(
    (images.reshape(10, count, 8, 8, 1) / 16).astype(np.float32), names=tuple("0123456789")
)
training = digits.select(range(6)).with_rotations().flat()
unseen = digits.select(range(6, 10)).flat()
tasks, test_tasks = (tl.ImageTasks(c, ways=3, shots=1) for c in (training, unseen))

task = test_tasks.sample(jax.random.key(0), num_tasks=1, num_queries=4)
fig, panels = plt.subplots(3, 5, figsize=(4.2, 2.8))
for row, (first, others) in enumerate(
    zip(task.support.x[0], task.query.x[0].reshape(3, 4, 64), strict=True)
):
    for ax, image in zip(panels[row], [first, *others], strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r")
        ax.set(xticks=[], yticks=[])
    panels[row, 0].set_ylabel(f"class {row}", fontsize=8)
panels[0, 0].set_title("support", fontsize=9)
panels[0, 1].set_title("query ...", fontsize=9)
plt.show()

# %%
assert (training.num_classes, unseen.num_classes) == (24, 4)
assert len(set(np.asarray(task.truth[0]))) == 3  # three different digits
assert task.support.x.shape == (1, 3, 64)

# %% [markdown]
# ## Four contenders of one capacity
#
# All of them are linear softmax classifiers: what they can compute after adaptation is the same.
# What differs is how a gradient step moves them. The step size is part of the question, so each is
# trained at three; a rule with parameters of its own (Meta-KFO) learns those with the start.

# %%
one = tl.DeepLinear(depth=1).init(jax.random.key(0), tasks, jnp.float32)
contenders = {
    "one layer": (one, "maml", SHALLOW, "o-"),
    "+ a layer at the output": (tl.add_linear_layers(one, 1, position=1), "maml", DEEP, "s:"),
    "+ a layer at the input": (tl.add_linear_layers(one, 1), "maml", DEEP, "o-"),
    "one layer + Meta-KFO": (one, "meta-kfo", BLUE, "D-"),
}
step_sizes = [0.02, 0.1, 0.5]


def accuracy(params, name, step_size, tasks=tasks, test_tasks=test_tasks, key=0):
    """Train, and test on unseen classes: the mean and its standard error."""
    rule = tl.make_rule(name, params, step_size)
    loss = tl.SampledLoss(tasks, rule, num_tasks=16, num_queries=10)
    learn_start = optax.adam(3e-3)
    learn_rule = optax.adam(3e-3 if name != "maml" else 0.0)
    optimizer = tl.separate(learn_start, learn_rule)
    run = tl.meta_train(*tl.joint(loss, params), optimizer, 400, jax.random.key(key))
    params, rule = run.params
    found = tl.evaluate(params, test_tasks, rule, jax.random.key(1), num_tasks=300, num_queries=10)
    return found.accuracy.mean, found.accuracy.stderr


found = {
    name: np.array([accuracy(params, rule, a) for a in step_sizes])
    for name, (params, rule, *_) in contenders.items()
}

# %%
fig, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
for name, (_, _, colour, line) in contenders.items():
    mean, stderr = found[name].T
    ax.errorbar(step_sizes, mean, 2 * stderr, fmt=line, color=colour, capsize=2, label=name)
ax.axhline(1 / 3, color="0.5", ls="--", lw=0.9)
ax.annotate("chance", (0.02, 1 / 3), xytext=(0, 3), textcoords="offset points")
ax.set(xscale="log", xlabel="inner step size", ylabel="accuracy on unseen digits")
ax.set_xticks(step_sizes, step_sizes)
ax.minorticks_off()
ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.08))
plt.show()

# %% [markdown]
# **Check.** One layer cannot adapt at a step that is too small for it. A layer added at the input
# makes it better at each step, one at the output at the two smaller ones; Meta-KFO does best, and
# hardly minds the step that it starts from. Standard errors count tasks; they say nothing of
# another start, or of the luck of four test digits.

# %%
one_layer, at_output, at_input, kfo = (found[name][:, 0] for name in contenders)
assert np.all(at_input > one_layer)
assert np.all(at_output[:2] > one_layer[:2] + 0.03)
assert np.all(kfo > one_layer + 0.05)
assert np.ptp(kfo) < 0.06 < np.ptp(one_layer)

# %% [markdown]
# ## Omniglot
#
# The same on 1,623 characters of 50 alphabets, one line to change. With `OMNIGLOT` set above, this
# takes about half a minute; without, see the figure `omniglot` in the gallery, which is made by
# `toylin figure omniglot --root DIR`.

# %%
if OMNIGLOT is not None:
    characters = [
        tl.ImageTasks(tl.images.omniglot(OMNIGLOT, split, size=28).flat(), ways=5, shots=5)
        for split in ("train", "test")
    ]
    reached = {}
    for depth in (1, 2):
        start = tl.DeepLinear(depth, width=64).init(jax.random.key(0), characters[0], jnp.float32)
        reached[depth], stderr = accuracy(start, "maml", 0.1, *characters)
        print(f"{depth} layer(s): {reached[depth]:.3f} +- {stderr:.3f} on unseen alphabets")
    assert reached[2] > reached[1] + 0.1

# %% [markdown]
# ## Exercises
#
# Each solution is folded below its exercise, in Jupyter and on the site: click it open when you
# have yours.

# %% [markdown]
# **Exercise 1.** How good can a *fixed* classifier be, one that does not adapt? Guess before you
# compute.

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# Classes are numbered anew in every task, so that no fixed function beats chance, 1/3.
for start in (one, jax.tree.map(lambda w: -3 * w, one)):
    fixed = tl.evaluate(start, test_tasks, tl.MAML(0.0), jax.random.key(2), 300, 10).accuracy
    assert fixed.low - 0.02 < 1 / 3 < fixed.high + 0.02

# %% [markdown]
# **Exercise 2.** Does the layer at the output change what the model computes before it adapts?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# No: it starts as the identity. Only the gradients differ.
lifted = contenders["+ a layer at the output"][0]
np.testing.assert_array_equal(tl.end_to_end(lifted), tl.end_to_end(one))

# %% [markdown]
# **Exercise 3.** How many numbers does each contender learn, those of its rule included? And how
# many would say which function it is?

# %% tags=["hide-cell"] jupyter={"source_hidden": true}
# All compute three numbers from 64, by a matrix of 3 x 64: more to learn, the same functions.
learned = {}
for name, (start, rule, *_) in contenders.items():
    parts = [start, *([] if rule == "maml" else [tl.make_rule(rule, start, 0.1)])]
    learned[name] = sum(np.size(leaf) for leaf in jax.tree.leaves(parts))
print(learned)
assert learned["one layer"] == 3 * 64 == min(learned.values())
assert all(tl.end_to_end(start).shape == (3, 64) for start, *_ in contenders.values())
