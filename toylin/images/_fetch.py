"""Files from their publishers, by address and check sum."""

from __future__ import annotations

from pathlib import Path

from toylin._internal.files import prepare


def fetch(address: str, checksum: str, folder: Path) -> Path:
    """Download a file to a folder, unless it is there.

    Args:
        address: of the file.
        checksum: of its contents, such as "md5:68d2...": another file is refused.
        folder: where to put it; it is made if it is missing.

    Raises:
        ValueError: it cannot be fetched, or is not what it should be; nothing is left behind.
    """
    import logging

    import pooch

    prepare(folder)
    pooch.get_logger().setLevel(logging.ERROR)
    name = address.rpartition("/")[2]
    try:
        found = pooch.retrieve(address, checksum, fname=name, path=folder)
    except Exception as error:  # of requests, urllib3 and pooch
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(
            f"download could not fetch {address}: {reason}; put the file into {str(folder)!r} by "
            "hand"
        ) from None
    return Path(found)
