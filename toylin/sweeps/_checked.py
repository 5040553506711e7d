"""The files of a store as Zarr asks for them, each compared with its checksum first."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any

from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore

from toylin.sweeps._checksums import SKELETON, damaged, read_listing, sha256, unlike
from toylin.sweeps._layout import DONE, METADATA, Layout, chunk_listing, is_chunked, read_layouts


class CheckedStore(LocalStore):
    """A folder written by a sweep, read-only. What no list of checksums names is not there."""

    @cached_property
    def _listed(self) -> dict[str, str]:
        return read_listing(self.root / SKELETON)

    @cached_property
    def _arrays(self) -> dict[str, Layout]:
        return read_layouts((self.root / METADATA).read_bytes())

    def get_sync(self, key: str, *, prototype: Any = None, byte_range: Any = None) -> Any:
        """One file; None where there is none.

        Raises:
            StoreError: it is not what was written.
        """
        if byte_range is not None:
            raise NotImplementedError("chunks are read whole")
        content = self._content(key)
        buffer = (prototype or default_buffer_prototype()).buffer
        return None if content is None else buffer.from_bytes(content)

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """As ``get_sync``."""
        return await asyncio.to_thread(
            self.get_sync, key, prototype=prototype, byte_range=byte_range
        )

    def _content(self, key: str) -> bytes | None:
        name, _, chunk = key.rpartition("/")
        where, lost, most = SKELETON, "its labels are not to be trusted", -1
        if chunk[:1].isdecimal():
            most = self._arrays[name].nbytes + 1
            if is_chunked(name):
                corner = chunk.split(".")[: len(self._arrays[DONE].dims)]
                where, lost = chunk_listing(corner), "the runs of this chunk are lost"
        listed = self._listed if where == SKELETON else read_listing(self.root / where)
        if key not in listed:
            return None
        try:
            with open(self.root / key, "rb") as file:
                content = file.read(most)
        except OSError:
            raise damaged(self.root, [f"{key} is missing"], lost) from None
        if sha256(content) != listed[key]:
            raise damaged(self.root, [unlike(key, where)], lost)
        return content
