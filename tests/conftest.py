"""Tests run in double precision."""

from __future__ import annotations

import gc
import os
import platform
import signal
import sys

os.environ.setdefault("TOYLIN_COMPILE_CACHE", "off")

# In the background of a shell Ctrl-C is ignored; tests press it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import hypothesis
import jax
import pytest

from toylin._internal.compiling import ask_xla, collect_rarely, compile_quickly, knows_flags

gc.freeze()
collect_rarely()

# Tests compile much and run little; the thorough profile compiles as users do.
if os.environ.get("TOYLIN_TESTS", "ci") == "ci":
    compile_quickly(0)
    if knows_flags():
        ask_xla({"xla_llvm_disable_expensive_passes": "true"})
        # For every program the compiler goes through all that a processor can do: through less.
        if platform.machine() == "x86_64":
            ask_xla({"xla_cpu_max_isa": "AVX2"})
jax.config.update("jax_enable_x64", True)

# Each draw may compile; time is bounded by the number of examples instead.
_COMMON = {"deadline": None, "print_blob": True, "derandomize": True}
hypothesis.settings.register_profile("ci", max_examples=10, **_COMMON)
hypothesis.settings.register_profile("thorough", max_examples=500, **_COMMON)
hypothesis.settings.load_profile(os.environ.get("TOYLIN_TESTS", "ci"))


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Let go of a file's compiled programs: thousands of them exhaust the memory maps of Linux."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def _close_figures():
    """Close what a test has drawn: tests count the figures that are open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Headless Chromium with the explorer's page at ``browser.address``."""
    from chromium import open_browser

    from toylin.explorer import page

    folder = tmp_path_factory.mktemp("browser")
    (folder / "explorer.html").write_text(page(), encoding="utf-8")
    with open_browser(folder / "profile") as driver:
        driver.address = (folder / "explorer.html").as_uri()
        yield driver
