"""The shapes in annotations are those of the arrays: checked at run time, in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CHECKED = "--jaxtyping-packages=toylin,beartype.beartype"
ENVIRONMENT = os.environ | {"TOYLIN_CHECK_SHAPES": "1"}  # else annotations are stand-ins
MISUSE = """
from jaxtyping import TypeCheckError, install_import_hook
with install_import_hook("toylin", "beartype.beartype"):
    from toylin.quadrature import expected_softplus
import jax.numpy as jnp
try:
    expected_softplus(jnp.ones(4), jnp.ones(5))
except TypeCheckError:
    print("refused")
"""


def test_annotations_hold():
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", CHECKED]
    done = subprocess.run(
        [*command, str(HERE / "test_theory_numbers.py")],
        cwd=HERE.parent,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "passed" in done.stdout


def test_a_wrong_shape_is_seen():
    done = subprocess.run(
        [sys.executable, "-c", MISUSE],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "refused\n", done.stderr
