"""What every room stands on: argument checks, pytree dataclasses, compiled functions, files."""
