"""The inner and outer loss by formula: gradients, Hessians and expectations written out by hand.

The first of the two routes; ``autodiff`` exports the same five functions. ``best_preconditioner``
is the least loss that a learned linear update can reach.
"""

from toylin.closed_form._inner import adapt, inner_grad, inner_loss
from toylin.closed_form._outer import outer_grad, outer_loss, task_losses
from toylin.closed_form._preconditioner import BestPreconditioner, best_preconditioner
from toylin.errors import NoClosedFormError
