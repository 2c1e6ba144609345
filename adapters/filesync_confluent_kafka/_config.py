"""
Settings in, librdkafka's configuration out.

Three layers, later ones win: what we find sensible, what the operator's
``kafka.options`` say, what a guarantee of ours rests on. An option of the
last kind is refused rather than ignored.

Source: docs/reference/settings.md; librdkafka's CONFIGURATION.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from filesync import Settings
from filesync.exceptions import TransportError

__all__ = [
    "DRIVER",
    "Config",
    "admin_config",
    "consumer_config",
    "fingerprint",
    "group_of",
    "read_secret",
]

#: Under this name the driver is found in ``kafka.options``.
DRIVER = "confluent-kafka"

Config = dict[str, "str | int | float | bool"]

_MIB = 1024 * 1024

#: Sensible, and the operator's to change.
_DEFAULTS: Config = {
    # Half the delay after a reconnect; less would be 20 connects a second
    # while no broker can be had, whatever the upper bound says.
    "reconnect.backoff.ms": 1000,
    "reconnect.backoff.max.ms": 2000,
    # A full queue stops fetching for that long; its default costs three quarters of the rate.
    "fetch.queue.backoff.ms": 5,
    "queued.max.messages.kbytes": 16384,
    "max.partition.fetch.bytes": 8 * _MIB,
    "fetch.max.bytes": 50 * _MIB,
    # One record may exceed the fetch limits; above this one it would stall its partition.
    "receive.message.max.bytes": 128 * _MIB,
    "topic.metadata.refresh.interval.ms": 30_000,
    "socket.keepalive.enable": True,
}

#: What a guarantee rests on, and which one.
_PINNED: dict[str, tuple[str | bool, str]] = {
    "isolation.level": ("read_committed", "aborted records must not become files"),
    "check.crcs": (True, "damaged records must not become files"),
    "enable.auto.commit": (False, "positions live with the files"),
    "enable.auto.offset.store": (False, "positions live with the files"),
    "auto.offset.reset": ("error", "any other value skips records without a word"),
    "allow.auto.create.topics": (False, "filesync creates no topics"),
    "enable.partition.eof": (True, "it tells when everything was read"),
    "ssl.endpoint.identification.algorithm": ("https", "the broker's certificate must name it"),
    "enable.ssl.certificate.verification": (True, "the broker must prove who it is"),
}

#: What has a setting of its own.
_NEUTRAL = {
    "bootstrap.servers": "server",
    "metadata.broker.list": "server",
    "group.id": "group",
    "security.protocol": "security-protocol",
    "sasl.mechanism": "sasl-mechanism",
    "sasl.mechanisms": "sasl-mechanism",
    "sasl.username": "sasl-username",
    "sasl.password": "sasl-password-file",
    "ssl.ca.location": "ca-file",
    "ssl.certificate.location": "cert-file",
    "ssl.key.location": "key-file",
    "ssl.key.password": "key-password-file",
}

#: Other ways to say the same, and what would take the driver out of our hands.
_REFUSED = {
    "auto.commit.enable": "positions live with the files",
    "default.topic.config": "it would hide other options",
    "plugin.library.paths": "it loads foreign code",
    "test.mock.num.brokers": "it reads from a broker that is not there",
}

#: These mean nothing to an admin client, which would complain in its log.
_CONSUMER_ONLY = frozenset(
    {
        "auto.offset.reset",
        "check.crcs",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "fetch.error.backoff.ms",
        "fetch.max.bytes",
        "fetch.min.bytes",
        "fetch.queue.backoff.ms",
        "fetch.wait.max.ms",
        "group.id",
        "isolation.level",
        "max.partition.fetch.bytes",
        "queued.max.messages.kbytes",
        "queued.min.messages",
    }
)


def group_of(settings: Settings) -> str:
    """Return the group under which the broker is told our positions; never empty."""
    return settings.kafka.group or f"filesync-{settings.hostname}"


def consumer_config(settings: Settings) -> Config:
    """
    Return the configuration of the reading client. Reads the files it names.

    Raises:
        TransportError: An option is refused, or a file cannot be used; the
            message names it.
    """
    kafka = settings.kafka
    config: Config = {**_DEFAULTS, "client.id": f"filesync-{settings.hostname}"}
    config.update(_options(kafka.options.get(DRIVER, {})))
    config.update({name: value for name, (value, _) in _PINNED.items()})
    config["bootstrap.servers"] = ",".join(kafka.servers)
    # The driver ends the whole process when this is empty.
    config["group.id"] = group_of(settings)
    config["security.protocol"] = kafka.security_protocol.value
    if kafka.security_protocol.encrypted:
        config.update(_tls(settings))
    if kafka.security_protocol.authenticated:
        config.update(_sasl(settings))
    return config


def admin_config(config: Config) -> Config:
    """
    Return what an admin client needs of a reading client's *config*.

    One consumer's option stays: without it a question about a topic creates the topic.
    """
    # It knocks less often: two clients together stay below three connects a second.
    calm: Config = {"reconnect.backoff.ms": config["reconnect.backoff.max.ms"]}
    return {name: value for name, value in config.items() if name not in _CONSUMER_ONLY} | calm


def fingerprint(settings: Settings) -> bytes:
    """
    Return 32 bytes that are others when a password, key or certificate was replaced.

    Raises:
        TransportError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for path, setting in _files(settings):
        content = _read(path, setting)
        digest.update(b"%d:%b" % (len(content), content))
    return digest.digest()


def _files(settings: Settings) -> list[tuple[str, str]]:
    kafka = settings.kafka
    named = (
        (kafka.ca_file, "ca-file"),
        (kafka.cert_file, "cert-file"),
        (kafka.key_file, "key-file"),
        (kafka.key_password_file, "key-password-file"),
        (kafka.sasl_password_file, "sasl-password-file"),
    )
    return [(path, setting) for path, setting in named if path is not None]


def read_secret(path: str, setting: str) -> str:
    """
    Return what the file *path* holds, without one newline at its end.

    Raises:
        TransportError: It cannot be read, is empty or is not text; *setting*
            is named as what to change.
    """
    content = _read(path, setting).removesuffix(b"\n").removesuffix(b"\r")
    if not content:
        raise TransportError(f"kafka.{setting}: {path} is empty")
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise TransportError(f"kafka.{setting}: {path} is not UTF-8 text") from exc


def _options(options: Mapping[str, object]) -> Config:
    taken: Config = {}
    for name, value in options.items():
        _check_option(name)
        if isinstance(value, bool):
            taken[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            taken[name] = value
        else:
            raise _refusal(name, "it must be text, a number, true or false")
    return taken


def _check_option(name: str) -> None:
    if name in _PINNED:
        value, why = _PINNED[name]
        raise _refusal(name, f"it is {str(value).lower()} because {why}")
    if name in _NEUTRAL:
        raise _refusal(name, f"use kafka.{_NEUTRAL[name]}")
    if name in _REFUSED:
        raise _refusal(name, _REFUSED[name])
    if name.endswith("_cb"):
        raise _refusal(name, "a callback is no text")


def _refusal(name: str, why: str) -> TransportError:
    return TransportError(f"kafka.options.{DRIVER}: {name!r} cannot be set: {why}")


def _tls(settings: Settings) -> Config:
    kafka = settings.kafka
    config: Config = {}
    for path, setting, name in (
        (kafka.ca_file, "ca-file", "ssl.ca.location"),
        (kafka.cert_file, "cert-file", "ssl.certificate.location"),
        (kafka.key_file, "key-file", "ssl.key.location"),
    ):
        if path is not None:
            if not _read(path, setting).strip():
                raise TransportError(f"kafka.{setting}: {path} is empty")
            config[name] = path
    if kafka.key_password_file is not None:
        config["ssl.key.password"] = read_secret(kafka.key_password_file, "key-password-file")
    return config


def _sasl(settings: Settings) -> Config:
    kafka = settings.kafka
    if not kafka.sasl_mechanism or not kafka.sasl_username or not kafka.sasl_password_file:
        raise TransportError(
            f"kafka.security-protocol: {kafka.security_protocol.value} needs sasl-mechanism, "
            "sasl-username and sasl-password-file"
        )
    return {
        "sasl.mechanisms": kafka.sasl_mechanism,
        "sasl.username": kafka.sasl_username,
        "sasl.password": read_secret(kafka.sasl_password_file, "sasl-password-file"),
    }


def _read(path: str, setting: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MIB)
    except OSError as exc:
        raise TransportError(f"kafka.{setting}: cannot read {path}: {exc.strerror}") from exc
