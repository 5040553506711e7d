"""How fast meta-training on images is.

    python benchmarks/images.py [W5 conv] [--repeats 5] [--iterations 200]

W5      MAML on Omniglot-shaped data, 964 classes of 20 images of 28 x 28 bytes: a 784-64-5 linear
        softmax model, 5-way, 5 support and 15 query images a class, 16 tasks an iteration, one
        inner step of 0.1, Adam 0.001. Meta-iterations/s.
conv    the same data for the field's convolutional network, 4 blocks of 32 filters: 5-way, 1 and 5
        images a class, 4 tasks an iteration, a tenth of the iterations. Meta-iterations/s.

``bare`` is a JAX program written only for that work: one jitted scan, tasks drawn inside,
``jax.grad`` through the inner step, ``jax.lax.conv``. The two are interleaved, and each figure is
the median of the repeats in CPU seconds of the process. Run it on one core (``taskset -c 0``).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import toylin as tl

WAYS, ADAM = 5, optax.adam(1e-3)
BYTES = np.random.default_rng(0).integers(0, 256, (964, 20, 28, 28, 1), dtype=np.uint8)
Model = Callable[[Any, jax.Array], jax.Array]


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    own = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -jnp.mean(own)


def linear(params: Any, x: jax.Array) -> jax.Array:
    return x.reshape(len(x), -1) @ params[0].T @ params[1].T


def convolutional(params: Any, x: jax.Array) -> jax.Array:
    for block in params[:-1]:
        kernel = jnp.transpose(block["kernel"], (2, 3, 1, 0))
        numbers = jax.lax.conv_dimension_numbers(x.shape, kernel.shape, ("NHWC", "HWIO", "NHWC"))
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers)
        mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
        x = (x - mean) / jnp.sqrt(variance + 1e-5) * block["scale"] + block["shift"]
        x = jax.nn.relu(x)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return x.reshape(len(x), -1) @ params[-1]["weight"].T + params[-1]["bias"]


@partial(jax.jit, static_argnums=(3, 4, 5, 6, 7, 8))
def bare(
    pool: jax.Array,
    params: Any,
    key: jax.Array,
    model: Model,
    tasks: int,
    shots: int,
    queries: int,
    step_size: float,
    iterations: int,
) -> jax.Array:
    labels = jnp.repeat(jnp.arange(WAYS), shots), jnp.repeat(jnp.arange(WAYS), queries)

    def task(params: Any, key: jax.Array) -> jax.Array:
        key_classes, key_images = jax.random.split(key)
        classes = jax.random.choice(key_classes, pool.shape[0], (WAYS,), replace=False)
        order = jax.vmap(lambda k: jax.random.permutation(k, pool.shape[1]))(
            jax.random.split(key_images, WAYS)
        )
        x = pool[classes[:, None], order[:, : shots + queries]]
        support = x[:, :shots].reshape(-1, *x.shape[2:])
        query = x[:, shots:].reshape(-1, *x.shape[2:])
        grads = jax.grad(lambda p: cross_entropy(model(p, support), labels[0]))(params)
        adapted = jax.tree.map(lambda w, g: w - step_size * g, params, grads)
        return cross_entropy(model(adapted, query), labels[1])

    def step(carry: Any, key: jax.Array) -> Any:
        params, state = carry
        keys = jax.random.split(key, tasks)
        value, grads = jax.value_and_grad(lambda p: jnp.mean(jax.vmap(task, (None, 0))(p, keys)))(
            params
        )
        updates, state = ADAM.update(grads, state)
        return (optax.apply_updates(params, updates), state), value

    keys = jax.random.split(key, iterations)
    return jax.lax.scan(step, (params, ADAM.init(params)), keys)[1]


def through_toylin(
    images: tl.ImageClasses,
    params: Any,
    key: jax.Array,
    model: Any,
    tasks: int,
    shots: int,
    queries: int,
    step_size: float,
    iterations: int,
) -> jax.Array:
    law = tl.ImageTasks(images, WAYS, shots)
    loss = tl.SampledLoss(law, tl.MAML(step_size), tasks, queries, model)
    return tl.meta_train(loss, params, ADAM, iterations, key).loss


def compare(name: str, calls: dict[str, Callable[[jax.Array], Any]], runs: int, n: int) -> None:
    """Print the rates of both, and their ratio."""
    times: dict[str, list[float]] = {what: [] for what in calls}
    for repeat in range(runs + 1):
        for what, call in calls.items():
            begin = time.process_time()
            jax.block_until_ready(call(jax.random.key(repeat)))
            times[what].append(time.process_time() - begin)
    rate = {what: n / statistics.median(t[1:]) for what, t in times.items()}
    for what, seconds in times.items():
        compiling = seconds[0] - statistics.median(seconds[1:])
        print(f"{name} {what:7} {rate[what]:8.2f} meta-iterations/s  compiling {compiling:.1f} s")
    print(f"{name} ratio   {rate['toylin'] / rate['bare']:8.2f}")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", default=["W5", "conv"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=200)
    options = parser.parse_args()
    print(f"{jax.devices()}, float32")
    images, pool = tl.ImageClasses(BYTES), jnp.asarray(BYTES, jnp.float32) / 255
    key, many, few = jax.random.key(0), options.iterations, max(2, options.iterations // 10)
    if "W5" in options.works:
        flat, w = images.flat(), tl.init(key, (784, 64, WAYS))
        sizes = (16, 5, 15, 0.1, many)
        calls = {
            "toylin": lambda key: through_toylin(flat, w, key, tl.predict, *sizes),
            "bare": lambda key: bare(pool, w, key, linear, *sizes),
        }
        compare("W5", calls, options.repeats, many)
    if "conv" in options.works:
        model = tl.Convolutional(depth=4, width=32)
        start = model.init(key, tl.ImageTasks(images, WAYS, 1))
        sizes = (4, 1, 5, 0.4, few)
        calls = {
            "toylin": lambda key: through_toylin(images, start, key, model, *sizes),
            "bare": lambda key: bare(pool, start, key, convolutional, *sizes),
        }
        compare("conv", calls, options.repeats, few)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
