"""Which transports this environment promises: tox says so, in FILESYNC_TRANSPORTS."""

from __future__ import annotations

import importlib.util
import os

__all__ = ["is_promised"]


def is_promised(transport: str, driver: str) -> bool:
    """
    Return whether *transport* must work here; one that is promised and missing fails.

    Without tox, what is installed is promised: *driver* is the package to look for.
    """
    promise = os.environ.get("FILESYNC_TRANSPORTS")
    if promise is None:
        return importlib.util.find_spec(driver) is not None
    return transport in promise.split(",")
