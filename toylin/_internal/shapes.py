"""The names that annotations are written in, jaxtyping's: ``Float[Array, "tasks dim"]``.

Importing jaxtyping costs more than all of toylin. Annotations need it only where they are checked:
by a type checker, or at run time where ``TOYLIN_CHECK_SHAPES`` is set. Else these are stand-ins.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or os.environ.get("TOYLIN_CHECK_SHAPES"):
    from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
else:
    from jax import Array

    class Float:
        """Takes what jaxtyping's type of this name takes, and checks nothing."""

        def __class_getitem__(cls, item: Any) -> Any:
            return item[0]

    Bool = Int = Float
    PRNGKeyArray = Array

__all__ = ["Array", "Bool", "Float", "Int", "PRNGKeyArray"]
