"""Sweeps: many meta-training runs in few compiled programs, labelled, resumable, on all devices."""

from toylin.sweeps._settings import Model, Optimizer
from toylin.sweeps._store import StoreError, open_store
from toylin.sweeps._sweep import Estimate, sweep
