"""Sweeps: many meta-training runs in few compiled programs, labelled, resumable, on all devices."""

from toylin._internal.errors import StoreError
from toylin.sweeps._reading import open_store
from toylin.sweeps._sweep import SweepCost, sweep

__all__ = ["StoreError", "SweepCost", "open_store", "sweep"]
