"""Sweeps: many meta-training runs in few compiled programs, labelled, resumable, on all devices."""

from toylin.sweeps._store import StoreError, open_store
from toylin.sweeps._sweep import SweepCost, sweep

__all__ = ["StoreError", "SweepCost", "open_store", "sweep"]
