"""How fast the core is: meta-iterations and grid points a second.

    python benchmarks/core.py [W1 W4 ...] [--repeats 15] [--float64]

W1   theta, x ~ N(0, 1), two scalar layers, one inner step of 0.1 on 10 support points, 10 query
     points, 32 tasks an iteration, SGD 0.01, 1000 iterations from one start. Meta-iterations/s.
W2   the same from 256 starts at once. Starts x meta-iterations/s.
W4   the post-adaptation loss on a 200 x 200 grid of the two weights with 1000 shared sampled
     tasks, through ``tl.surface``, the preparation of the batch included; and by the closed form.
     Grid points/s.
exact   meta-training on the exact expected loss, else as W1. Meta-iterations/s.
pieces  W1 for 50,000 iterations: in one piece, in those between which ``progress=True`` reports and
     Ctrl-C is heard, and as a sweep of one run (another start). Meta-iterations/s.

``toylin`` is the public interface. ``bare`` is a JAX program written only for that work, the
yardstick: one jitted scan, tasks drawn inside, ``jax.grad`` through the inner step (for W4: one
jitted map over blocks of grid points). The two are interleaved, and each figure is the median of
the repeats in CPU seconds of the process, which other work on the machine disturbs least; the first
call, which compiles, is timed apart. Absolute figures move from machine to machine: compare the
ratios. Run it on one core (``taskset -c 0``) and on all.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

import toylin as tl

TASKS, SHOTS, QUERIES, STEP, ITERATIONS, STARTS = 32, 10, 10, 0.1, 1000, 256
MANY = 50_000
OPTIMIZER = optax.sgd(0.01)
PROBLEM = tl.LinearRegression(shots=SHOTS)
RULE = tl.MAML(STEP)


def squared(w: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    return 0.5 * jnp.mean((w[0] * w[1] * x - y) ** 2)


def adapted_loss(w: jax.Array, theta: jax.Array, x: jax.Array, x_query: jax.Array) -> jax.Array:
    moved = w - STEP * jax.grad(squared)(w, x, theta * x)
    return squared(moved, x_query, theta * x_query)


def bare_train(w: jax.Array, key: jax.Array, steps: int = ITERATIONS) -> jax.Array:
    def outer(w: jax.Array, key: jax.Array) -> jax.Array:
        keys = jax.random.split(key, 3)
        theta = jax.random.normal(keys[0], (TASKS, 1))
        x = jax.random.normal(keys[1], (TASKS, SHOTS))
        x_query = jax.random.normal(keys[2], (TASKS, QUERIES))
        return jnp.mean(jax.vmap(adapted_loss, (None, 0, 0, 0))(w, theta, x, x_query))

    def step(carry: Any, key: jax.Array) -> Any:
        w, state = carry
        loss, grads = jax.value_and_grad(outer)(w, key)
        updates, state = OPTIMIZER.update(grads, state, w)
        return (optax.apply_updates(w, updates), state), loss

    return jax.lax.scan(step, (w, OPTIMIZER.init(w)), jax.random.split(key, steps))[1]


def bare_surface(batch: tl.Batch, axis: jax.Array) -> jax.Array:
    theta, x, x_query = batch.truth, batch.support.x[..., 0], batch.query.x[..., 0]

    def point(w: jax.Array) -> jax.Array:
        return jnp.mean(jax.vmap(adapted_loss, (None, 0, 0, 0))(w, theta, x, x_query))

    grid = jnp.stack(jnp.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    return jax.lax.map(point, grid, batch_size=64)


def toylin_train(loss: Any, w: jax.Array, key: jax.Array | None) -> jax.Array:
    params = (w[:1, None], w[1:, None])
    return tl.meta_train(loss, params, OPTIMIZER, ITERATIONS, key).loss


def toylin_surface(loss: Any, axis: jax.Array) -> jax.Array:
    zero, one = jnp.zeros((1, 1)), jnp.ones((1, 1))
    extent = (float(axis[0]), float(axis[-1]))
    return tl.surface(loss, (zero, zero), ((one, zero), (zero, one)), extent, len(axis)).loss


def one_run(seed: int) -> Any:
    return tl.sweep(
        PROBLEM,
        RULE,
        over={"depth": [2]},
        optimizer=tl.Optimizer("sgd", 0.01),
        loss="sampled",
        num_steps=MANY,
        seeds=[seed],
    ).loss.values


def works() -> dict[str, tuple[int, dict[str, Callable[[int], Any]]]]:
    """For each work, what one run does and the programs that do it."""
    w = jnp.array([0.7, -0.9])
    starts = jax.random.normal(jax.random.key(7), (STARTS, 2))
    sampled = tl.SampledLoss(PROBLEM, RULE, TASKS, QUERIES)
    one = partial(toylin_train, sampled)
    bare, bare_many = jax.jit(bare_train), jax.jit(jax.vmap(bare_train))
    many = jax.jit(jax.vmap(one))
    bare_long = jax.jit(partial(bare_train, steps=MANY))
    long = partial(tl.meta_train, sampled, (w[:1, None], w[1:, None]), OPTIMIZER, MANY)
    whole = jax.jit(long)
    axis = jnp.linspace(-4.0, 4.0, 200)
    batch = PROBLEM.sample(jax.random.key(3), 1000, QUERIES)
    grid = jax.jit(bare_surface)
    key, split = jax.random.key, lambda i: jax.random.split(jax.random.key(i), STARTS)
    return {
        "W1": (
            ITERATIONS,
            {"bare": lambda i: bare(w, key(i)), "toylin": lambda i: one(w, key(i))},
        ),
        "W2": (
            ITERATIONS * STARTS,
            {
                "bare": lambda i: bare_many(starts, split(i)),
                "toylin": lambda i: many(starts, split(i)),
            },
        ),
        "W4": (
            axis.size**2,
            {
                "bare": lambda _: grid(batch, axis),
                "toylin": lambda _: toylin_surface(tl.BatchLoss(batch, RULE), axis),
                "closed form": lambda _: toylin_surface(tl.ExactLoss(PROBLEM, RULE), axis),
            },
        ),
        "exact": (
            ITERATIONS,
            {
                "bare": lambda i: bare(w, key(i)),
                "toylin": lambda _: toylin_train(tl.ExactLoss(PROBLEM, RULE), w, None),
            },
        ),
        "pieces": (
            MANY,
            {
                "bare": lambda i: bare_long(w, key(i)),
                "one piece": lambda i: whole(key(i)),
                "pieces": lambda i: long(key(i), progress=True),
                "a sweep": one_run,
            },
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", help="which of them; all by default")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--float64", action="store_true")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", options.float64)
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}, {jnp.zeros(1).dtype}")
    print(f"{'work':<8}{'program':<14}{'per second':>14}{'of bare':>10}{'first call':>12}")
    chosen = works()
    for name in options.works or chosen:
        size, programs = chosen[name]
        first, seconds = {}, {program: [] for program in programs}
        for program, run in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(run(0))
            first[program] = time.perf_counter() - start
        for repeat in range(options.repeats):
            for program, run in programs.items():
                start = time.process_time()
                jax.block_until_ready(run(repeat + 1))
                seconds[program].append(time.process_time() - start)
        rate = {program: size / statistics.median(times) for program, times in seconds.items()}
        for program in programs:
            ratio = rate[program] / rate["bare"]
            row = f"{name:<8}{program:<14}{rate[program]:>14,.0f}{ratio:>10.2f}"
            print(row + f"{first[program]:>10.2f} s")


if __name__ == "__main__":
    main()
