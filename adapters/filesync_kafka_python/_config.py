"""
Settings in, kafka-python's arguments out.

Three layers, later ones win: what we find sensible, what the operator's
``kafka.options`` say, what a guarantee of ours rests on. An option of the
last kind is refused rather than ignored.

The driver would take much without a word: a security protocol in small letters
for none at all, a key that cannot be read for one to read later, at every
connect. So TLS is set up here, where it can still be told.

Source: docs/reference/settings.md; the docstring of `kafka.KafkaConsumer`.
"""

from __future__ import annotations

import importlib.util
import ssl
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from filesync import Settings
from filesync.exceptions import TransportError
from filesync_kafka_common.options import OptionGuard, OptionValue
from filesync_kafka_common.secrets import TlsFiles, read_login, read_tls

__all__ = [
    "DRIVER",
    "GUARD",
    "Config",
    "admin_config",
    "check_packages",
    "client_id_of",
    "consumer_config",
    "producer_config",
]

#: Under this name the driver is found in ``kafka.options``.
DRIVER = "kafka-python"

Config = dict[str, Any]

_MIB = 1024 * 1024

_MAX_RECORD_BYTES = 100 * _MIB

#: Sensible, and the operator's to change.
_DEFAULTS: dict[str, OptionValue] = {
    # Given, the driver starts without waiting for a broker, and leaks nothing
    # when there is none; from 3.0 on it tells topic ids.
    "api_version": "3.0",
    "reconnect_backoff_ms": 1000,
    "reconnect_backoff_max_ms": 2000,
    "max_partition_fetch_bytes": 8 * _MIB,
    "fetch_max_bytes": 50 * _MIB,
    # One record may exceed the fetch limits; above this one it would stall its partition.
    "receive_message_max_bytes": 128 * _MIB,
    "metadata_max_age_ms": 30_000,
    # Nobody reads them, and they cost a tenth of the rate.
    "metrics_enabled": False,
}

#: What a guarantee rests on, and which one.
_PINNED: dict[str, tuple[OptionValue, str]] = {
    "isolation_level": ("read_committed", "aborted records must not become files"),
    "check_crcs": (True, "damaged records must not become files"),
    "enable_auto_commit": (False, "positions live with the files"),
    "auto_offset_reset": ("none", "any other value skips records without a word"),
    "ssl_check_hostname": (True, "the broker's certificate must name it"),
}

#: What has a setting of its own.
_NEUTRAL = {
    "bootstrap_servers": "server",
    "group_id": "group",
    "security_protocol": "security-protocol",
    "sasl_mechanism": "sasl-mechanism",
    "sasl_plain_username": "sasl-username",
    "sasl_plain_password": "sasl-password-file",
    "ssl_cafile": "ca-file",
    "ssl_certfile": "cert-file",
    "ssl_keyfile": "key-file",
    "ssl_password": "key-password-file",
}

#: What would take the driver out of our hands.
_REFUSED = {
    "ssl_context": "it is made of kafka.ca-file, cert-file and key-file",
    "key_deserializer": "keys are bytes",
    "value_deserializer": "values are bytes",
    "kafka_client": "it loads foreign code",
    "selector": "it loads foreign code",
    "group_instance_id": "reading needs no group",
    "partition_assignment_strategy": "reading needs no group",
    "default_offset_commit_callback": "whoever reads commits nothing",
    "consumer_timeout_ms": "waiting is bounded by filesync",
    "max_poll_records": "it is bounded by filesync",
    "bootstrap_timeout_ms": "waiting is bounded by filesync",
    "metric_reporters": "it loads foreign code",
}

GUARD = OptionGuard(driver=DRIVER, pinned=_PINNED, neutral=_NEUTRAL, refused=_REFUSED)

#: What a guarantee of sending rests on, and which one.
_PRODUCER_PINNED: dict[str, tuple[OptionValue, str]] = {
    "enable_idempotence": (True, "a record must be in the log once, and in order"),
    "acks": ("all", "an acknowledged record must survive the loss of a broker"),
}

_PRODUCER_GUARD = OptionGuard(
    driver=DRIVER,
    pinned=_PRODUCER_PINNED,
    neutral={},
    refused={
        "delivery_timeout_ms": "it is the time-out of the publisher",
        "partitioner": "a file must land in one partition, whoever sends it",
        "retries": "a record is sent again until its time is over",
        "key_serializer": "keys are bytes",
        "value_serializer": "values are bytes",
        "transactional_id": "an acknowledged record is there to be read",
    },
)

#: The reading client knows nothing of them; both read the same settings.
_PRODUCER_ONLY = KafkaProducer.DEFAULT_CONFIG.keys() - KafkaConsumer.DEFAULT_CONFIG.keys()

#: Milliseconds for which one request of a producer may be unanswered.
_REQUEST_TIMEOUT_MS = 30_000

#: Milliseconds that a producer gathers records.
_LINGER_MS = 5

#: Milliseconds that an admin client's question may take, and its first connection.
_ANSWER_TIMEOUT_MS = 5000

#: Without these it reads thirty times slower, or never returns from a compressed batch.
_PACKAGES = {
    "crc32c": "crc32c",
    "lz4": "lz4",
    "snappy": "python-snappy",
    "zstandard": "zstandard",
}


def check_packages() -> None:
    """
    Make sure that the driver can decode whatever a producer may have sent.

    Raises:
        TransportError: A package is missing; the message tells how to install it.
    """
    missing = [
        package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise TransportError(
            f"kafka-python cannot read every record without {', '.join(missing)}: "
            f"pip install 'kafka-filesync[{DRIVER}]'"
        )


def client_id_of(settings: Settings) -> str:
    """Return what we call ourselves to brokers, unless the operator does."""
    return f"filesync-{settings.hostname}"


def consumer_config(settings: Settings) -> Config:
    """
    Return the arguments of the reading client. Reads the files that *settings* name.

    Raises:
        TransportError: An option is refused, or a file cannot be used; the
            message names it.
    """
    kafka = settings.kafka
    config: Config = {**_DEFAULTS, "client_id": client_id_of(settings)}
    options = GUARD.checked(kafka.options.get(DRIVER, {}))
    config.update({name: each for name, each in options.items() if name not in _PRODUCER_ONLY})
    config["api_version"] = _api_version(config["api_version"])
    config.update(GUARD.pins)
    config["bootstrap_servers"] = list(kafka.servers)
    # With a group it reads nothing where the right on the group is missing.
    config["group_id"] = None
    # In other letters it means: no security at all.
    config["security_protocol"] = kafka.security_protocol.value.upper()
    if kafka.security_protocol.encrypted:
        config["ssl_context"] = _tls(read_tls(settings))
    if kafka.security_protocol.authenticated:
        login = read_login(settings)
        config["sasl_mechanism"] = login.mechanism
        config["sasl_plain_username"] = login.username
        config["sasl_plain_password"] = login.password
    return config


def admin_config(config: Config) -> Config:
    """Return what an admin client needs of a reading client's *config*."""
    ours = {
        name: value for name, value in config.items() if name in KafkaAdminClient.DEFAULT_CONFIG
    }
    return ours | {
        "client_id": f"{config['client_id']}-admin",
        "request_timeout_ms": _ANSWER_TIMEOUT_MS,
        "bootstrap_timeout_ms": _ANSWER_TIMEOUT_MS,
        # It knocks less often: two clients together stay below three connects a second.
        "reconnect_backoff_ms": config["reconnect_backoff_max_ms"],
    }


def producer_config(settings: Settings, timeout: float, reading: Config | None = None) -> Config:
    """
    Return the arguments of the sending client.

    Args:
        settings: Where the log is.
        timeout: Seconds that a record may wait for its acknowledgement.
        reading: Those of a reading client. None: they are made here, and so files are read.

    Raises:
        TransportError: An option is refused, or a file cannot be used; the
            message names it.
    """
    known = KafkaProducer.DEFAULT_CONFIG
    options = _PRODUCER_GUARD.checked(settings.kafka.options.get(DRIVER, {}))
    if reading is None:
        reading = consumer_config(settings)
    ours = {name: value for name, value in reading.items() if name in known}
    timeout_ms = max(1000, round(timeout * 1000))
    sending: Config = {
        "linger_ms": _LINGER_MS,
        # What a record may have is for the broker to say.
        "max_request_size": _MAX_RECORD_BYTES,
        "batch_size": 256 * 1024,
        "compression_type": None,
    }
    return (
        sending
        | ours
        | {name: value for name, value in options.items() if name in _PRODUCER_ONLY}
        | _PRODUCER_GUARD.pins
        | {
            "client_id": f"{reading['client_id']}-producer",
            "allow_auto_create_topics": False,
            "delivery_timeout_ms": timeout_ms,
            "request_timeout_ms": min(_REQUEST_TIMEOUT_MS, timeout_ms - 10 * _LINGER_MS),
            # A record is handed over again and again, so that whoever does it can be stopped.
            "max_block_ms": 1000,
        }
    )


def _api_version(value: object) -> tuple[int, ...]:
    try:
        version = tuple(int(part) for part in str(value).split("."))
    except ValueError:
        version = ()
    if not 2 <= len(version) <= 3:
        raise GUARD.refusal("api_version", f"{value!r} is no version, such as '3.0'")
    return version


def _tls(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Verifies, names too.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.ca is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(files.ca)
        except (ssl.SSLError, ValueError) as exc:
            raise TransportError(
                f"kafka.ca-file: {files.ca} holds no certificate in PEM: {exc}",
                key="kafka.ca-file",
            ) from exc
    if files.cert is not None:
        try:
            # Without a password it would ask at the terminal.
            context.load_cert_chain(files.cert, files.key, password=files.key_password or "")
        except (ssl.SSLError, ValueError) as exc:
            raise TransportError(
                f"kafka.cert-file, key-file: {files.cert} and {files.key or 'itself'} are no "
                f"certificate and its key in PEM, or kafka.key-password-file is wrong: {exc}",
                key="kafka.cert-file",
            ) from exc
    return context
