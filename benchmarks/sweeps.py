"""How fast wide models and sweeps are.

    python benchmarks/sweeps.py [--repeats 5] [--float64] [--runs 1,10,100,1000]

W3      x | y ~ N(y m, I), m ~ N(0, I), 20-20-1 linear network under the logistic loss, one inner
        step of 0.5 on 10 support points, 10 query points, 32 tasks an iteration, Adam 0.001, 1000
        iterations. Meta-iterations/s. ``bare`` is a JAX program written only for that work: one
        jitted scan, tasks drawn inside, ``jax.grad`` through the inner step. The two are
        interleaved, and each figure is the median of the repeats in CPU seconds of the process.
sweep   ``tl.sweep`` of W1 (scalar regression, depth 2, 10 shots, 32 sampled tasks, SGD 0.01) and of
        its exact loss, over more and more runs. Runs x meta-iterations/s, one chunk, all devices.

Compiling is timed apart. Compare ratios: absolute figures move from machine to machine.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

import toylin as tl

DIM, TASKS, POINTS, STEP, ITERATIONS = 20, 32, 10, 0.5, 1000
ADAM = optax.adam(1e-3)


def logistic(w: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean logistic loss of a two-layer linear network."""
    return jnp.mean(jax.nn.softplus(-y * (x @ w[0].T @ w[1].T)[:, 0]))


@partial(jax.jit, static_argnames="steps")
def bare(w: Any, key: jax.Array, steps: int = ITERATIONS) -> Any:
    """W3 by hand."""

    def points(key: jax.Array, m: jax.Array) -> tuple[jax.Array, jax.Array]:
        key_y, key_x = jax.random.split(key)
        y = jax.random.rademacher(key_y, (POINTS,), m.dtype)
        return y[:, None] * m + jax.random.normal(key_x, (POINTS, DIM), m.dtype), y

    def task(w: Any, key: jax.Array) -> jax.Array:
        keys = jax.random.split(key, 3)
        m = jax.random.normal(keys[0], (DIM,), w[0].dtype)
        grads = jax.grad(logistic)(w, *points(keys[1], m))
        adapted = jax.tree.map(lambda a, g: a - STEP * g, w, grads)
        return logistic(adapted, *points(keys[2], m))

    def step(carry: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        w, state = carry
        keys = jax.random.split(key, TASKS)
        value, grads = jax.value_and_grad(
            lambda w: jnp.mean(jax.vmap(task, in_axes=(None, 0))(w, keys))
        )(w)
        updates, state = ADAM.update(grads, state)
        return (optax.apply_updates(w, updates), state), value

    return jax.lax.scan(step, (w, ADAM.init(w)), jax.random.split(key, steps))[1]


def toylin(w: Any, key: jax.Array) -> Any:
    """W3 through the public interface."""
    tasks = tl.BinaryClassification(dim=DIM, shots=POINTS)
    loss = tl.SampledLoss(tasks, tl.MAML(STEP), TASKS, POINTS)
    return tl.meta_train(loss, w, ADAM, ITERATIONS, key).loss


def time_w3(repeats: int) -> None:
    """Print W3 for both."""
    w = tl.init(jax.random.key(0), (DIM, DIM, 1))
    times: dict[str, list[float]] = {"toylin": [], "bare": []}
    for repeat in range(repeats + 1):
        for name, function in (("toylin", toylin), ("bare", bare)):
            begin = time.process_time()
            losses = jax.block_until_ready(function(w, jax.random.key(repeat)))
            times[name].append(time.process_time() - begin)
            if repeat == 0:
                print(f"W3 {name:7} last losses {float(jnp.mean(losses[-200:])):.4f}")
    rate = {name: ITERATIONS / statistics.median(t[1:]) for name, t in times.items()}
    for name, seconds in times.items():
        compiling = seconds[0] - statistics.median(seconds[1:])
        print(f"W3 {name:7} {rate[name]:10,.0f} meta-iterations/s  compiling {compiling:.1f} s")
    print(f"W3 ratio   {rate['toylin'] / rate['bare']:10.2f}")


def time_sweep(runs: list[int]) -> None:
    """Print the rate of sweeps of growing size."""
    for loss in ("sampled", "exact"):
        for count in runs:
            times = []
            for _ in range(2):
                begin = time.perf_counter()
                tl.sweep(
                    tl.LinearRegression(shots=10),
                    over={"step_size": [0.1]},
                    optimizer=tl.Optimizer("sgd", 0.01),
                    loss=loss,
                    num_steps=ITERATIONS,
                    seeds=count,
                    chunk_runs=count,
                    memory="64GiB",
                )
                times.append(time.perf_counter() - begin)
            print(
                f"sweep {loss:8} {count:7,} runs {count * ITERATIONS / times[1]:14,.0f} runs x "
                f"meta-iterations/s  compiling {times[0] - times[1]:.1f} s"
            )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--float64", action="store_true")
    parser.add_argument("--runs", default="1,10,100,1000")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", options.float64)
    print(f"{jax.devices()}, {'float64' if options.float64 else 'float32'}")
    time_w3(options.repeats)
    time_sweep([int(n) for n in options.runs.split(",")])
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
