"""A store as files: what a new one holds, byte for byte, and where its chunks go.

The format is Zarr 2 without codecs: a chunk is the bytes of its numbers. There is nothing to
unpack, nothing to run, and a file is as large as its description says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from toylin.sweeps._checksums import FOLDER, SKELETON, listing, sha256
from toylin.sweeps._dataset import VARIABLES, coordinates, run_dims, sizes, variables
from toylin.sweeps._plan import Plan

DONE = "computed"
ATTRIBUTES, METADATA = ".zattrs", ".zmetadata"
_DTYPE = re.compile(r"\|b1|<[fi][48]|<U[0-9]{1,6}")


class Layout(NamedTuple):
    """One array: its dimensions, and how it lies in files."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    attributes: Mapping[str, Any]

    @property
    def nbytes(self) -> int:
        """The size of the file of a chunk."""
        return prod(self.chunks) * np.dtype(self.dtype).itemsize

    def describe(self) -> dict[str, Any]:
        """As Zarr has it. Missing floats read as NaN; xarray would mask booleans that are so."""
        return {
            "zarr_format": 2,
            "shape": [*self.shape],
            "chunks": [*self.chunks],
            "dtype": self.dtype,
            "fill_value": "NaN" if self.dtype[1] == "f" else None,
            "order": "C",
            "filters": None,
            "compressor": None,
            "dimension_separator": ".",
        }

    def content(self, values: np.ndarray) -> bytes:
        """The file of a chunk; at the end of a dimension it is filled up."""
        full = np.zeros(self.chunks, self.dtype)
        full[tuple(slice(n) for n in values.shape)] = values
        return full.tobytes()


def is_chunked(name: str) -> bool:
    """Whether an array comes chunk by chunk (results do, coordinates are one file)."""
    return name in VARIABLES or name == DONE


def layouts(plan: Plan, block: tuple[int, ...]) -> dict[str, Layout]:
    """The arrays of a store whose runs come in boxes of ``block``."""
    lengths, dims = sizes(plan), run_dims(plan)
    sides = {**lengths, **dict(zip(dims, block, strict=False))}
    found = {}
    for name, about in variables(plan).items():
        over, dtype = (*dims, *about.extra), "|b1" if about.boolean else plan.dtype.str
        found[name] = _layout(over, lengths, sides, dtype, about.attributes)
    done = {"long_name": "whether the run is done"}
    found[DONE] = _layout(dims, lengths, sides, "|b1", done)
    for name, (along, values, notes) in coordinates(plan).items():
        found[name] = _layout(along, lengths, lengths, values.dtype.str, notes)
    return found


def _layout(
    dims: tuple[str, ...],
    lengths: Mapping[str, int],
    sides: Mapping[str, int],
    dtype: str,
    attributes: Mapping[str, Any],
) -> Layout:
    shape, chunks = (tuple(of[d] for d in dims) for of in (lengths, sides))
    return Layout(dims, shape, chunks, dtype, attributes)


def skeleton(plan: Plan, block: tuple[int, ...], attributes: Mapping[str, Any]) -> dict[str, bytes]:
    """All files of a store without results: path -> content."""
    arrays = layouts(plan, block)
    described: dict[str, Any] = {".zgroup": {"zarr_format": 2}, ATTRIBUTES: attributes}
    for name, layout in sorted(arrays.items()):
        described[f"{name}/.zarray"] = layout.describe()
        described[f"{name}/.zattrs"] = {
            "_ARRAY_DIMENSIONS": [*layout.dims],
            **layout.attributes,
        }
    whole = {"metadata": described, "zarr_consolidated_format": 1}
    files = {name: _json(value) for name, value in {**described, METADATA: whole}.items()}
    for name, (_, values, _) in coordinates(plan).items():
        files[_label_file(name, arrays[name])] = arrays[name].content(values)
    return {**files, SKELETON: listing(files)}


def skeleton_files(arrays: Mapping[str, Layout]) -> list[str]:
    """Those that ``skeleton`` makes, but for the list of their checksums."""
    found = [".zgroup", ATTRIBUTES, METADATA]
    for name, layout in arrays.items():
        found += [f"{name}/.zarray", f"{name}/.zattrs"]
        found += [] if is_chunked(name) else [_label_file(name, layout)]
    return found


def _label_file(name: str, layout: Layout) -> str:
    return f"{name}/{chunk_name((0,) * len(layout.dims))}"


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def sign(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """``attributes`` with a checksum of themselves: a store holds two copies, and one can serve."""
    own = {key: value for key, value in attributes.items() if key != "sha256"}
    return {**own, "sha256": sha256(json.dumps(own, sort_keys=True).encode())}


def chunk_name(corner: Sequence[int | str]) -> str:
    """The name of a chunk: its place along every dimension."""
    return ".".join(map(str, corner)) or "0"


def chunk_files(arrays: Mapping[str, Layout], corner: tuple[int, ...]) -> dict[str, str]:
    """The files of a chunk of runs: array -> path. Each array has one."""
    return {
        name: f"{name}/{chunk_name((*corner, *(0,) * (len(layout.dims) - len(corner))))}"
        for name, layout in arrays.items()
        if is_chunked(name)
    }


def chunk_listing(corner: Sequence[int | str]) -> str:
    """Where the checksums of a chunk are."""
    return f"{FOLDER}/{chunk_name(corner)}"


def read_layouts(metadata: bytes) -> dict[str, Layout]:
    """The arrays that a store says it has, if they are such as a sweep writes.

    Raises:
        ValueError: anything else: a type of data that could run code, a codec, lengths that do not
            agree. The message says what.
    """
    try:
        described = json.loads(metadata)["metadata"]
        names = [key.removesuffix("/.zarray") for key in described if key.endswith("/.zarray")]
        arrays = {name: _read_layout(name, described) for name in names}
    except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError):
        raise ValueError("it is no description of arrays") from None
    lengths: dict[str, int] = {}
    for name, layout in arrays.items():
        for dim, length in zip(layout.dims, layout.shape, strict=True):
            if lengths.setdefault(dim, length) != length or dim not in arrays:
                raise ValueError(f"dimension {dim!r} of {name!r} has no such length")
    if DONE not in arrays:
        raise ValueError(f"it has no {DONE!r}")
    return arrays


def _read_layout(name: str, described: Mapping[str, Any]) -> Layout:
    found, notes = described[f"{name}/.zarray"], described[f"{name}/.zattrs"]
    shape, chunks, dims = found["shape"], found["chunks"], notes["_ARRAY_DIMENSIONS"]
    layout = Layout(tuple(dims), tuple(shape), tuple(chunks), str(found["dtype"]), notes)
    plain = all(isinstance(n, int) and n > 0 for n in (*shape, *chunks))
    plain = plain and len(shape) == len(chunks) == len(dims) and not set("/\\\0") & set(name)
    if not plain or name.startswith(".") or (not is_chunked(name) and shape != chunks):
        raise ValueError(f"{name!r} is no array that a sweep writes")
    if not _DTYPE.fullmatch(layout.dtype) or found != layout.describe():
        raise ValueError(f"{name!r} holds another kind of data than a sweep writes")
    return layout
