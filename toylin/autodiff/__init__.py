"""The inner and outer loss by automatic differentiation: ``jax.grad`` inside, for any data.

The second of the two routes; ``closed_form`` exports the same names. Nothing here knows a formula:
the inner loop differentiates the loss of the data, and outer gradients differentiate through the
loop. Any model, any pytree of parameters and any law of tasks is served.
"""

from toylin.autodiff._inner import adapt, inner_grad, inner_loss
from toylin.autodiff._outer import (
    outer_grad,
    outer_loss,
    outer_value_and_grad,
    task_losses,
)

__all__ = [
    "adapt",
    "inner_grad",
    "inner_loss",
    "outer_grad",
    "outer_loss",
    "outer_value_and_grad",
    "task_losses",
]
