"""
Settings in, librdkafka's configuration out.

Three layers, later ones win: what we find sensible, what the operator's
``kafka.options`` say, what a guarantee of ours rests on. An option of the
last kind is refused rather than ignored.

Source: docs/reference/settings.md; librdkafka's CONFIGURATION.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from filesync import Settings
from filesync_kafka_common.options import OptionGuard, OptionValue, group_of
from filesync_kafka_common.secrets import read_login, read_tls

__all__ = [
    "DRIVER",
    "GUARD",
    "Config",
    "admin_config",
    "consumer_config",
    "producer_config",
]

#: Under this name the driver is found in ``kafka.options``.
DRIVER = "confluent-kafka"

Config = dict[str, OptionValue]

_MIB = 1024 * 1024

_MAX_RECORD_BYTES = 100 * _MIB

#: Sensible, and the operator's to change.
_DEFAULTS: Config = {
    # While no broker can be had, the driver knocks every half of the first delay, a second at
    # most, whatever the second one says: with its own 100 ms that is 20 connects a second.
    "reconnect.backoff.ms": 2000,
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

#: The same, of what sends.
_SENDING_DEFAULTS: Config = {
    # What a record may have is for the broker to say.
    "message.max.bytes": _MAX_RECORD_BYTES,
    # A topic's own limit is for a batch: chunks go alone, as Kafka's own producer does it.
    "batch.size": 16 * 1024,
    "queue.buffering.max.kbytes": 1024 * 1024,
    # The driver drops its first connection and waits for half of this before the next one: the
    # first record waits for it. A sender does not knock for long.
    "reconnect.backoff.ms": 500,
}

#: What a guarantee rests on, and which one.
_PINNED: dict[str, tuple[OptionValue, str]] = {
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

GUARD = OptionGuard(driver=DRIVER, pinned=_PINNED, neutral=_NEUTRAL, refused=_REFUSED)

#: What a guarantee of sending rests on, and which one.
_PRODUCER_PINNED: dict[str, tuple[OptionValue, str]] = {
    "enable.idempotence": (True, "a record must be in the log once, and in order"),
    "acks": ("all", "an acknowledged record must survive the loss of a broker"),
    "partitioner": ("murmur2_random", "a file must land in one partition, whoever sends it"),
}

_PRODUCER_GUARD = OptionGuard(
    driver=DRIVER,
    pinned=_PRODUCER_PINNED,
    neutral={},
    refused={
        "delivery.timeout.ms": "it is the time-out of the publisher",
        "message.timeout.ms": "it is the time-out of the publisher",
        "request.required.acks": "an acknowledged record must survive the loss of a broker",
        "transactional.id": "an acknowledged record is there to be read",
    },
)

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
    config.update(GUARD.pins)
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
    return {name: value for name, value in config.items() if name not in _CONSUMER_ONLY}


def producer_config(settings: Settings, timeout: float, reading: Config | None = None) -> Config:
    """
    Return the configuration of the sending client.

    Args:
        settings: Where the log is.
        timeout: Seconds that a record may wait for its acknowledgement.
        reading: That of a reading client. None: it is made here, and so files are read.

    Raises:
        TransportError: An option is refused, or a file cannot be used; the
            message names it.
    """
    given = settings.kafka.options.get(DRIVER, {})
    _PRODUCER_GUARD.checked(given)
    if reading is None:
        reading = consumer_config(settings)
    return {
        **admin_config(reading),
        **_SENDING_DEFAULTS,
        **admin_config(_options(given)),
        **_PRODUCER_GUARD.pins,
        "delivery.timeout.ms": round(timeout * 1000),
    }


def _options(options: Mapping[str, object]) -> Config:
    taken = GUARD.checked(options)
    for name in taken:
        if name.endswith("_cb"):
            raise GUARD.refusal(name, "a callback is no text")
    # Its own truth values are words.
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in taken.items()
    }


def _tls(settings: Settings) -> Config:
    files = read_tls(settings)
    named = {
        "ssl.ca.location": files.ca,
        "ssl.certificate.location": files.cert,
        "ssl.key.location": files.key,
        "ssl.key.password": files.key_password,
    }
    return {name: value for name, value in named.items() if value is not None}


def _sasl(settings: Settings) -> Config:
    login = read_login(settings)
    return {
        "sasl.mechanisms": login.mechanism,
        "sasl.username": login.username,
        "sasl.password": login.password,
    }
