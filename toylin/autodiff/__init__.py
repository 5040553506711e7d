"""The inner and outer loss by automatic differentiation: ``jax.grad`` inside, for any data."""

from toylin.autodiff._autodiff import (
    adapt,
    inner_grad,
    inner_loss,
    outer_grad,
    outer_loss,
    task_losses,
)

__all__ = [
    "adapt",
    "inner_grad",
    "inner_loss",
    "outer_grad",
    "outer_loss",
    "task_losses",
]
