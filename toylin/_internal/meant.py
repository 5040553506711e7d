"""Which word was meant by one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LIKE = 0.75  # of the letters; less finds words that only happen to share some
_SHORTEST = 3  # letters that begin a word
# What others call it; the first that is known here is meant.
_SYNONYMS = {
    "alpha": ("step_size",),
    "inner_lr": ("step_size",),
    "inner_steps": ("steps",),
    "lr": ("learning_rate", "step_size"),
    "outer_lr": ("learning_rate",),
    "meta_lr": ("learning_rate",),
    "beta": ("learning_rate",),
    "iterations": ("num_steps",),
    "epochs": ("num_steps",),
    "batch_size": ("num_tasks",),
    "sigma": ("noise_std",),
    "layers": ("depth",),
}


def meant(word: str, known: Iterable[str]) -> str:
    """``; did you mean X?``, or nothing where no word that is known is near.

    Args:
        word: as it was written, a flag or the name of a setting.
        known: the words that there are.
    """
    bare = {_bare(name): name for name in known}
    asked = _bare(word)
    same = [name for name in _SYNONYMS.get(asked, ()) if name in bare][:1]
    begun = [name for name in bare if len(asked) >= _SHORTEST and name.startswith(asked)]
    near = same or get_close_matches(asked, bare, n=1, cutoff=_LIKE) or begun
    return f"; did you mean {bare[near[0]]}?" if near else ""


def _bare(word: str) -> str:
    """Without the dashes of a flag, and as Python writes it."""
    return word.strip("-").replace("-", "_").lower()
