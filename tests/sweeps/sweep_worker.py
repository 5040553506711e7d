"""A sweep in a process of its own, for tests that kill it, split it or weigh it.

Usage: sweep_worker.py STORE [name=number ...], with ``step_sizes``, ``seeds``, ``num_steps``,
``chunk_runs``; ``devices`` (virtual ones); ``processes``, ``process`` and ``port`` (to take part in
a run of several processes). Prints the peak memory of the process in bytes.
"""

from __future__ import annotations

import resource
import sys


def main() -> None:
    """Run it."""
    store, *pairs = sys.argv[1:]
    numbers = {"step_sizes": 40, "seeds": 12, "num_steps": 60, "chunk_runs": 12, "devices": 1}
    numbers |= {name: int(value) for name, value in (pair.split("=") for pair in pairs)}

    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_num_cpu_devices", numbers["devices"])
    if "processes" in numbers:
        jax.distributed.initialize(
            f"localhost:{numbers['port']}", numbers["processes"], numbers["process"]
        )
    import numpy as np

    import toylin as tl

    ds = tl.sweep(
        tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5),
        over={"step_size": np.linspace(-0.5, 1.5, numbers["step_sizes"])},
        num_steps=numbers["num_steps"],
        record_every=min(20, numbers["num_steps"]),
        seeds=numbers["seeds"],
        chunk_runs=numbers["chunk_runs"],
        store=store,
    )
    assert bool(ds.computed.all())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main()
