"""
Every error of filesync, and whose fault each one is.

All derive from `FileSyncError`. A *record* error is the sender's fault: the
engine turns it into a counted outcome and goes on. A *settings* or *files*
error is the operator's: it is raised at start, and says what to change. A
*transport* error is the log's. An `InvalidTransitionError` is ours.
"""

from __future__ import annotations

__all__ = [
    "DriverMissingError",
    "FileSyncError",
    "FilesDirError",
    "FilesInUseError",
    "InvalidConfigurationError",
    "InvalidTransitionError",
    "JournalError",
    "MalformedRecordError",
    "PublishError",
    "RecordError",
    "RefusedByPolicyError",
    "RefusedNameError",
    "SettingValueError",
    "SettingsError",
    "TransportError",
]


class FileSyncError(Exception):
    """The root of every error that filesync raises on purpose."""


class RecordError(FileSyncError):
    """A record cannot be used. The sender's fault; the next one may be fine."""


class MalformedRecordError(RecordError):
    """Headers or value break the wire format (docs/reference/wire-format.md)."""


class RefusedNameError(RecordError):
    """The file name may not be used inside files-dir."""


class RefusedByPolicyError(RecordError):
    """The settings list which files may be written, and this is none of them."""


class InvalidConfigurationError(FileSyncError):
    """The bytes of a configuration file are not what its suffix promises."""


class SettingsError(FileSyncError):
    """
    The settings cannot be used.

    Attributes:
        source: Name of the settings file, as the operator wrote it.
        line: Line of the offending key or value, from 1; None when no single
            line is at fault.
        key: Dotted path of the key, such as ``kafka.server``; may be empty.
        problem: The message without all these.
    """

    def __init__(
        self, problem: str, *, source: str, line: int | None = None, key: str = ""
    ) -> None:
        place = source if line is None else f"{source}, line {line}"
        super().__init__(f"{place}: {key}: {problem}" if key else f"{place}: {problem}")
        self.source = source
        self.line = line
        self.key = key
        self.problem = problem


class SettingValueError(FileSyncError, ValueError):
    """
    A value that a settings class is given cannot be used.

    Attributes:
        problem: What is wrong with it and what is allowed.
        fields: Names of the attributes at fault, the first one most of all.
    """

    def __init__(self, problem: str, *fields: str) -> None:
        super().__init__(f"{fields[0]}: {problem}")
        self.problem = problem
        self.fields = fields


class FilesDirError(FileSyncError):
    """files-dir cannot be used: missing, not writable, not a directory …."""


class FilesInUseError(FilesDirError):
    """Another process holds files-dir."""


class JournalError(FilesDirError):
    """The journal cannot be read or written."""


class PublishError(FileSyncError):
    """A file or a host is such that nothing is published. Whoever publishes can mend it."""


class TransportError(FileSyncError):
    """
    The transport cannot go on.

    Attributes:
        retriable: Whether a later attempt, without a change, may succeed.
        key: Dotted path of the setting at fault, which the message names too;
            may be empty.
    """

    def __init__(self, problem: str, *, retriable: bool = False, key: str = "") -> None:
        super().__init__(problem)
        self.retriable = retriable
        self.key = key


class DriverMissingError(TransportError):
    """The third-party client that an adapter wraps is not installed."""


class InvalidTransitionError(FileSyncError):
    """A machine was given an event that its state forbids: a bug in filesync."""
