"""
What can be set: frozen values with defaults that check themselves.

A program that embeds filesync builds them in code; a settings file becomes
them in `filesync._settings_reader`. Either way a value that exists is usable:
nothing downstream checks again. What only a look at the system can show
(whether a file is there, say) is not checked here.

Source: docs/reference/settings.md.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from attrs import Factory, field
from attrs.validators import optional

from filesync import _setting_checks as check
from filesync._model import Kind
from filesync._values import frozen
from filesync.exceptions import SettingValueError

__all__ = [
    "DaemonSettings",
    "FileRule",
    "KafkaSettings",
    "Limits",
    "RouteBy",
    "Schedule",
    "SecurityProtocol",
    "Settings",
    "Start",
]

_MIB = 1024 * 1024
_GIB = 1024 * _MIB

#: Brokers and drivers take less than 1 GB in one record.
_MAX_CHUNK_BYTES = 512 * _MIB

#: Parsers recurse; Python's stack ends at about a thousand calls.
_MAX_CONFIG_DEPTH = 200


class SecurityProtocol(enum.Enum):
    """How the way to the brokers is protected, and who one is to them."""

    PLAINTEXT = "plaintext"
    SSL = "ssl"
    SASL_PLAINTEXT = "sasl_plaintext"
    SASL_SSL = "sasl_ssl"

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken."""
        return self in {SecurityProtocol.SSL, SecurityProtocol.SASL_SSL}

    @property
    def authenticated(self) -> bool:
        """Whether SASL tells the broker who we are."""
        return self in {SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL}


class Start(enum.Enum):
    """Where reading starts in a partition whose position is not known."""

    #: At the oldest record: every file comes again.
    EARLIEST = "earliest"
    #: At the end: only what is sent from now on.
    LATEST = "latest"


class RouteBy(enum.Enum):
    """By what a record says whom it is for."""

    #: The ``hostname`` header.
    HOSTNAME = "hostname"
    #: The record's key.
    ZONE_ID = "zone-id"


@frozen(kw_only=True)
class KafkaSettings:
    """
    Where the records are, and how to get at them.

    Attributes:
        topic: Its name.
        servers: Brokers to ask first, at least one. Taken in every form of
            `filesync._setting_checks.server_address`, kept as ``host:port``
            or ``[IPv6 address]:port``.
        files_dir: Absolute path of the directory that files are written to.
        security_protocol: Protection of the connections.
        key_file: Absolute path of our private key (PEM). Comes with
            *cert_file*, and only with an SSL protocol, like the three below.
        key_password_file: Absolute path of a file with the key's password.
        cert_file: Absolute path of our certificate chain (PEM).
        ca_file: Absolute path of the certificates (PEM) that brokers are
            checked against; None: the system's.
        sasl_mechanism: One of `filesync._setting_checks.SASL_MECHANISMS`,
            taken in any case. Comes with the two below, and with a SASL
            protocol.
        sasl_username: Who we are to the brokers.
        sasl_password_file: Absolute path of a file with the password.
        start: Where reading starts when no position is known.
        group: Under which name the brokers are told the positions, for lag
            tools; None: ``filesync-`` and the host name.
        options: By driver, what is passed on to it: text, numbers, booleans;
            no secrets.

    Raises:
        SettingValueError: A value, or how two of them go together, is not
            allowed.
    """

    topic: str = field(default="knot-resolver", validator=check.topic)
    servers: tuple[str, ...] = field(default=("localhost:9092",), converter=check.server_addresses)
    files_dir: str = field(
        default="/var/lib/knot-resolver",
        converter=check.without_slash,
        validator=check.directory,
    )
    security_protocol: SecurityProtocol = field(
        default=SecurityProtocol.PLAINTEXT, validator=check.member(SecurityProtocol)
    )
    key_file: str | None = field(default=None, validator=optional(check.path))
    key_password_file: str | None = field(default=None, validator=optional(check.path))
    cert_file: str | None = field(default=None, validator=optional(check.path))
    ca_file: str | None = field(default=None, validator=optional(check.path))
    sasl_mechanism: str | None = field(
        default=None, converter=check.upper, validator=optional(check.mechanism)
    )
    sasl_username: str | None = field(default=None, validator=optional(check.text))
    sasl_password_file: str | None = field(default=None, validator=optional(check.path))
    start: Start = field(default=Start.EARLIEST, validator=check.member(Start))
    group: str | None = field(default=None, validator=optional(check.text))
    options: Mapping[str, Mapping[str, object]] = field(factory=dict, validator=check.options)

    def __attrs_post_init__(self) -> None:
        self._check_ssl()
        self._check_sasl()

    def _check_ssl(self) -> None:
        for name in ("ca_file", "cert_file", "key_file", "key_password_file"):
            if getattr(self, name) is not None and not self.security_protocol.encrypted:
                raise SettingValueError(
                    "has no effect without TLS: security-protocol must be ssl or sasl_ssl, "
                    f"not {self.security_protocol.value}",
                    name,
                )
        if (self.cert_file is None) != (self.key_file is None):
            raise SettingValueError("cert-file and key-file come together", "cert_file", "key_file")
        if self.key_password_file is not None and self.key_file is None:
            raise SettingValueError("comes with key-file and cert-file only", "key_password_file")

    def _check_sasl(self) -> None:
        names = ("sasl_mechanism", "sasl_username", "sasl_password_file")
        for name in names:
            given = getattr(self, name) is not None
            if given and not self.security_protocol.authenticated:
                raise SettingValueError(
                    "has no effect without SASL: security-protocol must be sasl_ssl or "
                    f"sasl_plaintext, not {self.security_protocol.value}",
                    name,
                )
            if not given and self.security_protocol.authenticated:
                needed = ", ".join(names).replace("_", "-")
                raise SettingValueError(
                    f"{self.security_protocol.value} needs {needed}: "
                    f"{name.replace('_', '-')} is missing",
                    "security_protocol",
                )


@frozen(kw_only=True)
class FileRule:
    """
    Which files are of which kind.

    Attributes:
        match: A shell pattern (``*``, ``?``, ``[…]``; ``*`` matches ``/``
            too) for the name relative to files-dir.
        kind: Data or configuration.

    Raises:
        SettingValueError: *match* is empty or absolute.
    """

    match: str = field(validator=check.pattern)
    kind: Kind = field(validator=check.member(Kind))


@frozen(kw_only=True)
class Schedule:
    """
    When the daemon is asked to read its files again. All are seconds.

    Attributes:
        quiet: From the last change to the action.
        max_wait: From the first change to the action, however many follow;
            at least *quiet*.
        min_gap: From the end of one action to the next.
        timeout: What one action may take.
        backoff: From a failed action to the next attempt; doubles each time.
        max_backoff: What it doubles up to; at least *backoff*.
        stop_timeout: What a running action may still take at shutdown.

    Raises:
        SettingValueError: One is negative, endless, above a week, or too
            small beside another; 0 is for the first three only.
    """

    quiet: float = field(default=5.0, validator=check.Seconds(zero=True))
    max_wait: float = field(default=30.0, validator=check.Seconds(zero=True))
    min_gap: float = field(default=1.0, validator=check.Seconds(zero=True))
    timeout: float = field(default=120.0, validator=check.Seconds())
    backoff: float = field(default=2.0, validator=check.Seconds())
    max_backoff: float = field(default=60.0, validator=check.Seconds())
    stop_timeout: float = field(default=30.0, validator=check.Seconds())

    def __attrs_post_init__(self) -> None:
        if self.max_wait < self.quiet:
            raise SettingValueError(
                f"max-wait ({self.max_wait:g} s) must be at least quiet ({self.quiet:g} s)",
                "max_wait",
                "quiet",
            )
        if self.max_backoff < self.backoff:
            raise SettingValueError(
                f"max-backoff ({self.max_backoff:g} s) must be at least "
                f"backoff ({self.backoff:g} s)",
                "max_backoff",
                "backoff",
            )


@frozen(kw_only=True)
class Limits:
    """
    What a sender can cost us. Sizes are bytes, durations seconds.

    Where two limits bound the same thing, the smaller one counts.

    Attributes:
        chunk_bytes: Of one chunk, at most 512 MiB.
        file_bytes: Of one file.
        chunks_per_file: Of one transfer.
        tracked_chunks: Of all open transfers.
        open_transfers: Transfers of more than one chunk at a time.
        spool_bytes: Of the chunks on disk of all transfers that are not whole yet.
        free_space_bytes: What must stay free on the disk; may be 0.
        remembered: Completed transfers whose late duplicates are known.
        config_bytes: Of one configuration file, since it is parsed whole.
        config_depth: How deep one may be nested, at most 200.
        expire_after: Record time from a transfer's last chunk to its expiry.
        expire_offsets: The same, in offsets of its partition.
        expire_idle: The same, in time that passes here once caught up.
        expire_total: From a transfer's first chunk to its expiry, whatever
            still comes.
        unfinished_commits: Files on their way into place before reading
            stops.

    Raises:
        SettingValueError: One is out of its range.
    """

    chunk_bytes: int = field(default=8 * _MIB, validator=check.Whole(high=_MAX_CHUNK_BYTES))
    file_bytes: int = field(default=_GIB, validator=check.Whole())
    chunks_per_file: int = field(default=100_000, validator=check.Whole())
    tracked_chunks: int = field(default=1_000_000, validator=check.Whole())
    open_transfers: int = field(default=1024, validator=check.Whole())
    spool_bytes: int = field(default=4 * _GIB, validator=check.Whole())
    free_space_bytes: int = field(default=64 * _MIB, validator=check.Whole(low=0))
    remembered: int = field(default=4096, validator=check.Whole())
    config_bytes: int = field(default=16 * _MIB, validator=check.Whole())
    config_depth: int = field(default=100, validator=check.Whole(high=_MAX_CONFIG_DEPTH))
    expire_after: float = field(default=600.0, validator=check.Seconds())
    expire_offsets: int = field(default=100_000, validator=check.Whole())
    expire_idle: float = field(default=1800.0, validator=check.Seconds())
    expire_total: float = field(default=86_400.0, validator=check.Seconds())
    unfinished_commits: int = field(default=64, validator=check.Whole())


@frozen(kw_only=True)
class DaemonSettings:
    """
    Whose files these are.

    Attributes:
        adapter: Name of an entry point in the group ``filesync.daemons``.
        options: What the adapter is told; it judges them itself.

    Raises:
        SettingValueError: *adapter* is empty.
    """

    adapter: str = field(default="command", validator=check.text)
    options: Mapping[str, Any] = Factory(dict)


@frozen(kw_only=True)
class Settings:
    """
    Everything that can be set.

    Attributes:
        source: What messages call these settings: the name of the file as the
            operator wrote it.
        enabled: Whether ``filesync run`` starts at all. The engine does not
            look at it: a program that starts one has decided.
        hostname: Whose records are ours: printable ASCII. A trailing dot is
            dropped.
        route_by: By what a record says whom it is for.
        zone_id: The record key that is ours; given exactly when *route_by*
            is `RouteBy.ZONE_ID`.
        kafka: Where the records are.
        driver: Name of an entry point in the group ``filesync.transports``;
            None: the one that is installed.
        daemon: Whose files these are.
        files: The first that matches says what a file is, and a file that
            none matches is refused; None: ``.json``, ``.yaml`` and ``.yml``
            are configuration, all else is data.
        file_owner: Of a new file; None: that of files-dir.
        file_group: Likewise.
        file_mode: Permission bits of a new file; never writable for all.
        schedule: When the daemon is asked to read its files again.
        limits: What a sender can cost us.
        log_level: One of `filesync._setting_checks.LOG_LEVELS`.

    Raises:
        SettingValueError: A value, or how two of them go together, is not
            allowed.
    """

    source: str = "<program>"
    enabled: bool = False
    hostname: str = field(converter=check.without_dot, validator=check.hostname)
    route_by: RouteBy = field(default=RouteBy.HOSTNAME, validator=check.member(RouteBy))
    zone_id: str | None = field(default=None, validator=optional(check.text))
    kafka: KafkaSettings = Factory(KafkaSettings)
    driver: str | None = field(default=None, validator=optional(check.text))
    daemon: DaemonSettings = Factory(DaemonSettings)
    files: tuple[FileRule, ...] | None = field(default=None, validator=optional(check.rules))
    file_owner: str | None = field(default=None, validator=optional(check.account))
    file_group: str | None = field(default=None, validator=optional(check.account))
    file_mode: int = field(default=0o640, validator=check.mode)
    schedule: Schedule = Factory(Schedule)
    limits: Limits = Factory(Limits)
    log_level: str = field(default="info", validator=check.level)

    def __attrs_post_init__(self) -> None:
        if self.route_by is RouteBy.ZONE_ID and self.zone_id is None:
            raise SettingValueError("zone-id needs a zone-id beside it", "route_by")
        if self.route_by is RouteBy.HOSTNAME and self.zone_id is not None:
            raise SettingValueError("has no effect unless routing is by zone-id", "zone_id")
