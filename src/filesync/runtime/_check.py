"""``filesync check``: can these settings be used, here and now? Reads, changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator

from filesync._settings import Settings
from filesync.exceptions import FilesDirError
from filesync.runtime._receiver import Receiver

__all__ = ["check"]


def check(settings: Settings) -> Iterator[str]:
    """
    Yield lines that say what the settings mean.

    Raises:
        SettingsError, TransportError: The daemon or the transport cannot be
            set up as the settings say.
        FilesDirError: files-dir cannot be used.
    """
    kafka = settings.kafka
    yield f"{settings.source}: the settings are valid"
    yield f"  host name   {settings.hostname}"
    yield f"  topic       {kafka.topic} at {', '.join(kafka.servers)}"
    yield f"  security    {kafka.security_protocol.value}"
    yield f"  files-dir   {kafka.files_dir}"
    yield f"  daemon      {settings.daemon.adapter}"
    Receiver(settings)
    _check_directory(kafka.files_dir)
    if not settings.enabled:
        yield "  kafka.enable is false: filesync run ends at once"


def _check_directory(path: str) -> None:
    if not os.path.isdir(path):
        raise FilesDirError(
            f"files-dir {path} is not a directory; create it, or correct kafka.files-dir"
        )
    if not os.access(path, os.W_OK | os.X_OK):
        raise FilesDirError(
            f"files-dir {path} is not writable for this user; "
            "give the user that filesync runs as the right to write there"
        )
