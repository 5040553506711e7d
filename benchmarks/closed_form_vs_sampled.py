"""What a formula is worth: its time, against the time of the sampled tasks that buy as many digits.

For each setting: the exact outer loss and its time; the standard deviation of a task's loss, from
pilot tasks; and, for 3 and 6 digits, how many sampled tasks a standard error that small needs and
how long they would take at the measured throughput. Run it with

    python benchmarks/closed_form_vs_sampled.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import toylin as tl

jax.config.update("jax_enable_x64", True)

PILOT = 2**15
DIGITS = (3, 6)
SETTINGS: dict[str, tuple[Any, tl.MAML, tuple[int, ...]]] = {
    "scalar, depth 2, population": (
        tl.LinearRegression(theta_mean=0.3),
        tl.MAML(0.1),
        (1, 1, 1),
    ),
    "scalar, depth 2, 10 shots, noise": (
        tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=10),
        tl.MAML(0.1),
        (1, 1, 1),
    ),
    "20 dimensions, shallow, 30 shots": (
        tl.LinearRegression(dim=20, noise_std=0.2, shots=30),
        tl.MAML(0.1),
        (20, 1),
    ),
    "100 dimensions, depth 2, population": (
        tl.LinearRegression(dim=100, theta_mean=0.3),
        tl.MAML(0.02),
        (100, 10, 1),
    ),
    "20 dimensions, logistic, population": (
        tl.BinaryClassification(dim=20),
        tl.MAML(0.5),
        (20, 1),
    ),
}


def seconds(function: Callable[[], Any], repeats: int = 5) -> float:
    """The best of a few runs, after compilation."""
    jax.block_until_ready(function())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - start)
    return min(times)


def measure(tasks: Any, rule: tl.MAML, widths: tuple[int, ...]) -> dict[str, float]:
    """Times and numbers of tasks for one setting."""
    params = tl.init(jax.random.key(0), widths)
    exact = jax.jit(lambda p: tl.closed_form.outer_loss(p, tasks, rule))

    @jax.jit
    def sampled(key: jax.Array) -> jax.Array:
        return tl.autodiff.task_losses(params, tasks.sample(key, PILOT // 16), rule)

    losses = np.concatenate([sampled(k) for k in jax.random.split(jax.random.key(1), 16)])
    value = float(exact(params))
    per_task = seconds(lambda: sampled(jax.random.key(2))) / (PILOT // 16)
    result = {
        "exact": value,
        "exact_seconds": seconds(lambda: exact(params)),
        "task_std": float(losses.std(ddof=1)),
        "pilot_z": float((losses.mean() - value) / (losses.std(ddof=1) / len(losses) ** 0.5)),
        "seconds_per_task": per_task,
    }
    for digits in DIGITS:
        number = (result["task_std"] / (value * 10**-digits)) ** 2
        result[f"tasks_for_{digits}_digits"] = number
        result[f"seconds_for_{digits}_digits"] = number * per_task
    return result


def main() -> None:
    """Measure every setting and print one row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="also write the numbers to this file")
    path = parser.parse_args().json
    results = {}
    columns = "".join(f"{f'tasks, {d} digits':>17}{'seconds':>11}" for d in DIGITS)
    print(f"{'setting':38}{'exact':>11}{'seconds':>11}{columns}{'z':>7}")
    for name, setting in SETTINGS.items():
        r = results[name] = measure(*setting)
        cells = "".join(
            f"{r[f'tasks_for_{d}_digits']:17.2g}{r[f'seconds_for_{d}_digits']:11.2g}"
            for d in DIGITS
        )
        z = r["pilot_z"]
        print(f"{name:38}{r['exact']:11.6f}{r['exact_seconds']:11.2g}{cells}{z:7.1f}", flush=True)
    if path:
        with open(path, "w") as file:
            json.dump({"pilot": PILOT, "results": results}, file, indent=2)


if __name__ == "__main__":
    main()
