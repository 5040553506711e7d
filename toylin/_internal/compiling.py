"""Waiting for the compiler: less optimisation where asked, programs kept between commands."""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

VARIABLE = "TOYLIN_COMPILE_CACHE"
_MOST_BYTES = 2**28
_OPTIMIZATION = "xla_backend_optimization_level"
_EMITTERS = "xla_cpu_use_fusion_emitters"
_PARTS = "xla_cpu_parallel_codegen_split_count"


def compile_quickly(optimization: int = 1) -> None:
    """Ask XLA to compile quickly: for many programs that each run once, before JAX starts.

    Compiling with little optimisation takes a third of the time. Where jaxlib is 0.10, whose older
    way of emitting loops is quicker still, that is asked for, too, and to compile a program in one
    piece, as small ones lose by being split: XLA ends the process at a flag that it does not know,
    and only these versions are known to know these. What the user has set in ``XLA_FLAGS`` stays.

    Args:
        optimization: the level, from 0 to 3.
    """
    ask_xla({_OPTIMIZATION: str(optimization)})
    if knows_flags():
        ask_xla({_EMITTERS: "false", _PARTS: "1"})


def knows_flags() -> bool:
    """Whether this is a version of XLA of which more flags are known: at others it would end."""
    return version("jaxlib").startswith("0.10.")


def ask_xla(wanted: Mapping[str, str]) -> None:
    """Set flags of XLA, before JAX starts; those that the user has set stay."""
    flags = os.environ.get("XLA_FLAGS", "")
    new = [f"--{name}={value}" for name, value in wanted.items() if name not in flags]
    os.environ["XLA_FLAGS"] = " ".join([flags, *new]).strip()


def collect_rarely() -> None:
    """Look for garbage rarely: tracing makes many objects that live, a tenth of the time."""
    gc.set_threshold(50_000, 20, 20)


def keep_programs() -> Path | None:
    """Let JAX keep compiled programs, and find those of earlier commands.

    They lie in the user's cache folder, in a folder for these versions and this kind of processor:
    machines that share a home folder do not load each other's programs. The least used go first
    when there are more than 256 MiB. A folder that cannot be written, a full disk or a damaged file
    cost the time to compile, and nothing else.

    ``TOYLIN_COMPILE_CACHE=off`` turns this off; another value names the folder to use. Where JAX's
    own setting names a folder (``JAX_COMPILATION_CACHE_DIR``), it stays.

    Returns:
        The folder, or None where no program is kept.
    """
    import jax

    asked = os.environ.get(VARIABLE, "")
    set_by_jax = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if asked.lower() in ("off", "0", "no") or set_by_jax:
        return None
    try:
        folder = _folder(asked)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_compilation_cache_max_size", _MOST_BYTES)
    # What could not be read or written is compiled: nothing that a user need know.
    warnings.filterwarnings("ignore", message="Error (read|writ)ing persistent compilation cache")
    return folder


def _folder(asked: str) -> Path:
    from platformdirs import user_cache_path

    base = Path(asked) if asked else user_cache_path("toylin", appauthor=False) / "programs"
    versions = [f"{name} {version(name)}" for name in ("toylin", "jax", "jaxlib")]
    about = "\n".join([*versions, platform.python_version(), os.environ.get("XLA_FLAGS", "")])
    return base / hashlib.sha256(f"{about}\n{_processor()}".encode()).hexdigest()[:16]


def _processor() -> str:
    """What tells processors apart: what they are called and can do, or else the machine's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
    told = ("flags", "Features", "model name", "CPU implementer", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(told)}))
