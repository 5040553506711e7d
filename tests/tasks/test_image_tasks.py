"""Few-shot tasks on images: who is drawn, how often, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl

CLASSES, EXAMPLES = 6, 5
# Every image says which it is: its class in the first number, its example in the second.
LABELLED = np.stack(np.meshgrid(range(CLASSES), range(EXAMPLES), indexing="ij"), -1).astype(
    np.uint8
)
COUNTS = np.array([5, 3, 4, 5, 3, 5])


def drawn(tasks, num_tasks, num_queries, seed=0):
    """The classes and examples of support and query, shape (tasks, ways, points a class, 2)."""
    batch = tasks.sample(jax.random.key(seed), num_tasks, num_queries)
    parts = [
        np.round(255 * np.asarray(d.x)).astype(int).reshape(num_tasks, tasks.ways, -1, 2)
        for d in (batch.support, batch.query)
    ]
    return batch, np.concatenate(parts, axis=2)


def test_nobody_is_drawn_twice_and_labels_are_right():
    tasks = tl.ImageTasks(tl.ImageClasses(LABELLED, COUNTS), ways=4, shots=2)
    batch, who = drawn(tasks, 500, 1)
    assert batch.support.x.shape == (500, 8, 2)
    assert np.array_equal(batch.support.y[0], [0, 0, 1, 1, 2, 2, 3, 3])
    assert np.array_equal(batch.query.y[0], [0, 1, 2, 3])
    # One class a label, the one that truth names; four different ones; three different images.
    assert np.array_equal(who[..., 0], np.broadcast_to(batch.truth[..., None], who.shape[:-1]))
    for task in who:
        assert len(set(task[:, 0, 0])) == 4
        for label in task:
            assert len(set(label[:, 1])) == 3
            assert label[:, 1].max() < COUNTS[label[0, 0]]


def test_all_are_equally_likely():
    """Chi-squared, of classes by label, pairs of classes, and images by place."""
    tasks = tl.ImageTasks(tl.ImageClasses(LABELLED, COUNTS), ways=2, shots=2)
    _, who = drawn(tasks, 6_000, 1)
    first, second = who[:, 0, 0, 0], who[:, 1, 0, 0]
    pairs = np.histogram2d(first, second, bins=(range(7), range(7)))[0]
    assert not pairs.diagonal().any()
    away = pairs[~np.eye(6, dtype=bool)] - 200
    assert (away**2).sum() / 200 < 29 + 5 * (2 * 29) ** 0.5
    for c in range(CLASSES):
        images = who[..., 1][who[..., 0] == c].reshape(-1, 3)
        for place in range(3):
            count = np.bincount(images[:, place], minlength=COUNTS[c])
            mean = len(images) / COUNTS[c]
            free = COUNTS[c] - 1
            assert ((count - mean) ** 2).sum() / mean < free + 5 * (2 * free) ** 0.5


def test_bytes_are_scaled_and_floats_are_not():
    shown = [
        tl.ImageTasks(jnp.full((3, 4, 2), 51, kind), 2, 1).sample(jax.random.key(0), 1, 1)
        for kind in (np.uint8, np.float32)
    ]
    assert np.allclose(shown[0].support.x, 0.2)
    assert np.allclose(shown[1].support.x, 51.0)


def test_rotations_are_classes_of_their_own():
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 2, 2, 1)
    turned = tl.ImageClasses(images, np.array([3, 2]), ("a", "b")).with_rotations()
    assert turned.names[2:4] == ("a/90", "b/90")
    assert turned.counts.tolist() == [3, 2] * 4
    for k in range(4):
        want = np.rot90(images[1, 2, :, :, 0], k)
        np.testing.assert_array_equal(turned.images[2 * k + 1, 2, :, :, 0], want)


def test_classes_are_split_by_name_or_number():
    images = tl.ImageClasses(LABELLED, COUNTS, tuple("abcdef"))
    for chosen in (["c", "b"], [2, 1]):
        found = images.select(chosen)
        assert found.names == ("c", "b")
        assert found.counts.tolist() == [4, 3]
        np.testing.assert_array_equal(found.images, LABELLED[[2, 1]])
    assert (
        len(repr(tl.ImageClasses(np.zeros((999, 2, 4), np.uint8), names=tuple(range(999))))) < 200
    )


def test_drawing_composes_with_jit_and_vmap():
    tasks = tl.ImageTasks(tl.ImageClasses(LABELLED, COUNTS), ways=2, shots=1)
    keys = jax.random.split(jax.random.key(1), 3)
    many = jax.jit(jax.vmap(lambda key, tasks: tasks.sample(key, 4, 2), (0, None)))(keys, tasks)
    for i, key in enumerate(keys):
        one = tasks.sample(key, 4, 2)
        jax.tree.map(lambda a, b, i=i: np.testing.assert_array_equal(a[i], b), many, one)
    with pytest.raises(ValueError, match="num_queries must leave room"):
        jax.jit(lambda tasks: tasks.sample(keys[0], 4, 3))(tasks)


IMAGES = tl.ImageClasses(LABELLED, COUNTS, tuple("abcdef"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tl.ImageTasks(IMAGES, ways=7), "ways must be at most 6"),
        (lambda: tl.ImageTasks(IMAGES, ways=1), "ways must be an integer of at least 2"),
        (
            lambda: tl.ImageTasks(IMAGES, shots=3),
            "shots must leave room for shots=3 .* but class 'b' has 3 images; got 3",
        ),
        (
            lambda: tl.ImageTasks(IMAGES, shots=1).sample(jax.random.key(0), 4, 3),
            "num_queries must leave room .* class 'b' has 3 images",
        ),
        (lambda: tl.ImageTasks(IMAGES, shots=1).sample(0, 4, 3), "key must be one JAX random key"),
        (lambda: tl.ImageClasses(LABELLED.tolist()), "images must be an array"),
        (lambda: tl.ImageClasses(LABELLED.astype(int)), "images must be bytes"),
        (lambda: tl.ImageClasses(LABELLED[0]), "images must have shape"),
        (lambda: tl.ImageClasses(LABELLED * np.nan), "images must be finite"),
        (lambda: tl.ImageClasses(LABELLED, COUNTS + 1), "counts must be integers from 1 to 5"),
        (lambda: tl.ImageClasses(LABELLED, COUNTS[1:]), "counts must have shape"),
        (lambda: tl.ImageClasses(LABELLED, names=("a",)), "names must be 6"),
        (lambda: IMAGES.select(["x"]), "classes must be among names"),
        (lambda: IMAGES.select([0, 0]), "classes must be different"),
        (lambda: IMAGES.select([6]), "every entry of classes must be"),
        (lambda: IMAGES.with_rotations(), "images must have shape .side, side, channels."),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
