"""``toylin sweep``: many meta-training runs, from a file or from flags."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path
from typing import Any

import click

from toylin._internal.meant import meant
from toylin.cli._common import PATH, out_option, report, use_float64
from toylin.cli._readable_stderr import say_instead


@click.command(name="sweep")
@click.argument("config", metavar="CONFIG|depth", required=False)
@click.option("--over", "axes", multiple=True, metavar="FIELD=VALUES", help="An axis (repeat).")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting (repeat).")
@click.option("--store", type=PATH, help="Folder of the results (Zarr).")
@click.option("--memory", default="2GiB", show_default=True, help="What a chunk of runs may need.")
@click.option("--dry-run", is_flag=True, help="Say what it would take, and run nothing.")
@click.option(
    "--devices", type=click.IntRange(1, 1024), help="CPU devices; a core each by default."
)
@click.option("--coordinator", metavar="HOST:PORT", help="The first process of several.")
@click.option("--num-processes", type=click.IntRange(1), help="How many processes there are.")
@click.option("--process-id", type=click.IntRange(0), help="Which of them this is, from 0.")
@click.option("--distributed", is_flag=True, help="Several processes, found from SLURM or TPU.")
@click.option(
    "--timeout",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Seconds to wait for a process that does not come, or is silent.",
)
@out_option("Folder of the figure that `toylin sweep depth` draws.")
def command(
    config: str | None,
    axes: tuple[str, ...],
    settings: tuple[str, ...],
    store: Path | None,
    memory: str,
    dry_run: bool,
    devices: int | None,
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    distributed: bool,
    timeout: int,
    out: Path,
) -> None:
    """Meta-train at every combination of settings.

    CONFIG is a TOML file; flags add to it, and suffice without it. `toylin sweep depth` is built
    in: depth against inner step size, drawn as the figure phase_diagram.

    VALUES are a,b,c or start:stop:count (:log for equal ratios); shots may be the word population.
    An axis is a field of the tasks, the rule, the model or the optimizer; rules go by the names of
    `toylin train`. Results go to --store as
    they come: the same command resumes there, also after a crash. Ctrl-C stops after the chunk
    under way.

    \b
    Examples:
      toylin sweep depth
      toylin sweep --over depth=1,2,3 --over step_size=-0.5:1.5:41 --over shots=5,population \\
        --set noise_std=0.1 --set num_steps=500 --set seeds=8 --store runs.zarr
      toylin sweep question.toml --store runs.zarr --dry-run

    \b
    question.toml:
      num_steps = 1000
      seeds = 8
      [tasks]
      kind = "regression"
      noise_std = 0.1
      [rule]
      kind = "meta-kfo"
      step_size = 0.1
      [optimizer]
      name = "adam"
      learning_rate = 0.01
      [over]
      depth = [1, 2, 3]
      step_size = "-0.5:1.5:41"
    """
    if config == "depth":
        from toylin.cli.figure import draw

        if axes or settings or store or dry_run:
            raise click.UsageError("`toylin sweep depth` takes no settings; it is built in")
        _devices(devices)
        draw(["phase_diagram"], out)
        return
    asked = _asked(config, axes, settings)
    _devices(devices)
    use_float64()
    _join((coordinator, num_processes, process_id), distributed, timeout)
    from toylin.sweeps import sweep

    if dry_run:
        click.echo(sweep(**asked, store=store, memory=memory, dry_run=True))
        return
    if store is None:
        raise click.UsageError("give --store, a folder for the results (or --dry-run)")
    with report() as written:
        try:
            sweep(**asked, store=store, memory=memory, progress=True)
        except KeyboardInterrupt:
            _leave(f"stopped; the same command resumes in {store}", 130)
        except ConnectionError as error:
            _leave(str(error), 1)
        written.append(store)
    click.echo(f"next: {shlex.join(['toylin', 'plot', 'sweep', str(store)])}")


def _leave(message: str, code: int) -> None:
    """End at once: as it ends by itself JAX waits for processes that are gone.

    A Ctrl-C meanwhile would kill it, or crash threads that still compute.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    click.echo(f"toylin: {message}", err=True)
    os._exit(code)


def _asked(config: str | None, axes: tuple[str, ...], settings: tuple[str, ...]) -> dict[str, Any]:
    from toylin.sweeps import _config as written

    if config and not Path(config).exists() and (near := meant(config, ["depth"])):
        raise ValueError(f"config must be a TOML file, or the word depth, got {config!r}{near}")
    found = written.read_tables(Path(config)) if config else {}
    for text in axes:
        name, value = _pair("--over", text)
        found.setdefault("over", {})[name] = value
    for text in settings:
        name, value = _pair("--set", text)
        written.put_setting(found, name, value)
    if not found.get("over"):
        raise click.UsageError("nothing to sweep: give a file with [over], or --over FIELD=VALUES")
    return written.arguments(found)


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise click.UsageError(f"{flag} must be NAME=VALUE, got {text!r}")
    return name.strip(), value.strip()


def _devices(devices: int | None) -> None:
    """A CPU device a core: runs are independent, so that cores share out runs, not operations."""
    import jax

    flags = os.environ.get("XLA_FLAGS", "")
    if devices is None and "xla_force_host_platform_device_count" in flags:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jax.config.update("jax_num_cpu_devices", devices or cores or 1)


def _join(given: tuple[Any, ...], detect: bool, timeout: int) -> None:
    """Meet the other processes: those ``given``, or those that the cluster knows of."""
    import jax

    if not detect and given == (None, None, None):
        return
    if not detect and None in given:
        raise click.UsageError("give --coordinator, --num-processes and --process-id together")
    say_instead(
        f"another process is gone, or did not come within {timeout} s (--timeout); what was "
        "finished is in the store: run the same command on all again"
    )
    coordinator, processes, process = (None, None, None) if detect else given
    jax.distributed.initialize(
        coordinator,
        processes,
        process,
        initialization_timeout=timeout,
        heartbeat_timeout_seconds=timeout,
    )
