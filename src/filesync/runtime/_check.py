"""``filesync check``: can these settings be used, here and now? Reads, changes nothing."""

from __future__ import annotations

import contextlib
import grp
import logging
import os
import pwd
import socket
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points

from attrs import evolve

from filesync._settings import Settings
from filesync._wording import shown, suggestion
from filesync.exceptions import FilesDirError, SettingsError
from filesync.producer import Producer
from filesync.runtime._receiver import Receiver
from filesync.transport import Transport, open_transport

__all__ = ["check", "ignored", "offline", "try_out"]

#: Seconds that the driver's clients have to end.
_CLOSE_TIMEOUT = 2.0

#: They have a name whether they are installed or not.
_DRIVERS = frozenset({"confluent-kafka", "kafka-python"})


def check(settings: Settings) -> list[str]:
    """
    Return lines that say what the settings mean.

    Raises:
        SettingsError, TransportError: The daemon, the transport or the owner
            of files cannot be set up as the settings say.
        FilesDirError: files-dir cannot be used.
    """
    kafka = settings.kafka
    with offline(settings) as alone:
        transport = open_transport(alone.driver, alone)
        Receiver(settings, transport=transport)
        try_out(transport)
    _check_accounts(settings)
    _check_directory(kafka.files_dir)
    said = [
        f"{settings.source}: the settings are valid",
        f"  host name   {settings.hostname}",
        f"  topic       {kafka.topic} at {', '.join(kafka.servers)}",
        f"  security    {kafka.security_protocol.value}",
        f"  files-dir   {kafka.files_dir}",
        f"  daemon      {settings.daemon.adapter}",
    ]
    if not settings.enabled:
        said.append("  kafka.enable is false: filesync run ends at once")
    return said


@contextlib.contextmanager
def offline(settings: Settings) -> Iterator[Settings]:
    """Yield *settings* with a server in place of theirs, on this host, that nobody can be."""
    with socket.socket() as nobody:
        # Bound and not listening: it is taken, and whoever connects is refused.
        nobody.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{nobody.getsockname()[1]}"
        yield evolve(settings, kafka=evolve(settings.kafka, servers=(server,)))


def try_out(opened: Transport | Producer) -> None:
    """
    Start *opened*, so that its driver judges the configuration, and close it at once.

    Raises:
        TransportError: It cannot start as it is configured.
    """
    # That nobody can be reached is no news; unheard, it would be printed.
    unheard = logging.NullHandler()
    logging.getLogger().addHandler(unheard)
    try:
        opened.start()
    finally:
        opened.close(_CLOSE_TIMEOUT)
        logging.getLogger().removeHandler(unheard)


def ignored(settings: Settings) -> list[SettingsError]:
    """Return a complaint for every section of ``kafka.options`` that is for no driver."""
    known = {*_DRIVERS, *(point.name for point in entry_points(group="filesync.transports"))}
    hints = {name: suggestion(name, known) for name in settings.kafka.options if name not in known}
    return [
        SettingsError(
            f"no driver has that name; {hint or 'known: ' + ', '.join(sorted(known))}",
            source=settings.source,
            key=f"kafka.options.{name}",
        )
        for name, hint in hints.items()
    ]


def _check_accounts(settings: Settings) -> None:
    if settings.file_owner is not None:
        _find(pwd.getpwnam, settings.file_owner, settings, key="filesync.file-owner")
    if settings.file_group is not None:
        _find(grp.getgrnam, settings.file_group, settings, key="filesync.file-group")


def _find(look: Callable[[str], object], name: str, settings: Settings, *, key: str) -> None:
    try:
        look(name)
    except KeyError:
        problem = f"{shown(name)} is not known on this host"
        raise SettingsError(problem, source=settings.source, key=key) from None


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
