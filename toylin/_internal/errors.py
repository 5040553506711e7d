"""The exceptions of our own."""


class NoClosedFormError(NotImplementedError, ValueError):
    """A combination of task, model and rule has no closed form; the message names what serves it.

    Nothing falls back to sampling in silence.
    """


class StoreError(OSError):
    """A store cannot be written or is damaged; the message says why, what is lost, what is safe."""
