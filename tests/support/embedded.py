"""
A broker inside the test's own process: librdkafka's mock cluster, steered by ctypes.

Theory. The library that confluent-kafka brings exports the functions of its
mock cluster, so that a test can do in a microsecond what takes a real broker
seconds: go down and come up at the same address, cut a log's head off, delete
a topic and create it again with another topic id. It speaks the real protocol
to real clients, over loopback, at a port that the kernel chose.

Left out, because the mock cluster has none of it: more than 5 MiB a
partition, rights, transactions, a restart. See `support.kafka` for those.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from filesync import TopicPartition
from support.driver_log import DriverLog

__all__ = ["EmbeddedLog", "produce_undecodable"]

_TIMEOUT = 10.0
_BROKER_ID = 1

_Pointer = ctypes.c_void_p
_Text = ctypes.c_char_p

#: What is called, with the types that ctypes would not guess.
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "rd_kafka_new": (_Pointer, [ctypes.c_int, _Pointer, _Text, ctypes.c_size_t]),
    "rd_kafka_destroy": (None, [_Pointer]),
    "rd_kafka_flush": (ctypes.c_int, [_Pointer, ctypes.c_int]),
    "rd_kafka_conf_new": (_Pointer, []),
    "rd_kafka_conf_set": (ctypes.c_int, [_Pointer, _Text, _Text, _Text, ctypes.c_size_t]),
    "rd_kafka_produceva": (_Pointer, [_Pointer, _Pointer, ctypes.c_size_t]),
    "rd_kafka_mock_cluster_new": (_Pointer, [_Pointer, ctypes.c_int]),
    "rd_kafka_mock_cluster_destroy": (None, [_Pointer]),
    "rd_kafka_mock_cluster_bootstraps": (_Text, [_Pointer]),
    "rd_kafka_mock_set_controller_id": (ctypes.c_int, [_Pointer, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_down": (ctypes.c_int, [_Pointer, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_up": (ctypes.c_int, [_Pointer, ctypes.c_int32]),
    "rd_kafka_mock_topic_create": (ctypes.c_int, [_Pointer, _Text, ctypes.c_int, ctypes.c_int]),
    "rd_kafka_mock_topic_delete": (ctypes.c_int, [_Pointer, _Text]),
    "rd_kafka_mock_partition_delete_records": (
        ctypes.c_int,
        [_Pointer, _Text, ctypes.c_int32, ctypes.c_int64],
    ),
}


class _Library:
    """The librdkafka that confluent-kafka has loaded."""

    def __init__(self) -> None:
        loaded = re.search(r"\S*librdkafka\S*", Path("/proc/self/maps").read_text())
        if loaded is None:
            raise LookupError("confluent-kafka was built without a shared librdkafka")
        self._dll = ctypes.CDLL(loaded[0])

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._dll, name, None)
        if function is None:
            pytest.skip(f"this environment does not promise {name}: its librdkafka is too old")
        function.restype, function.argtypes = _SIGNATURES[name]
        return function  # type: ignore[no-any-return]

    def has(self, name: str) -> bool:
        """Return whether this version has function *name*."""
        return hasattr(self._dll, name)

    def client(self, **options: str) -> int:
        """Return a new producer; it must be destroyed."""
        conf = self.rd_kafka_conf_new()
        why = ctypes.create_string_buffer(512)
        for name, value in {"log_level": "0", **options}.items():
            key = name.replace("_", ".") if name != "log_level" else name
            if self.rd_kafka_conf_set(conf, key.encode(), value.encode(), why, len(why)):
                raise ValueError(why.value.decode())
        client: int | None = self.rd_kafka_new(0, conf, why, len(why))
        if client is None:
            raise OSError(why.value.decode())
        return client


class EmbeddedLog(DriverLog):
    """
    One broker; steers it as `filesync.testing.Log` says.

    Attributes:
        tells_topic_ids: False before librdkafka 2.16.
        adds_partitions: False where there are ids: `add_partitions` makes another topic.

    Args:
        group: Whose offsets `told` returns.
        topic_ids: Whether to tell topic ids, where it can.
    """

    def __init__(self, group: str, *, topic_ids: bool = True) -> None:
        super().__init__(group, _TIMEOUT)
        self._library = _Library()
        self._client = self._library.client()
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        bootstraps = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        self._address: str = bootstraps.decode()
        #: Topics of which the producer knows all partitions.
        self._known: set[str] = set()
        self.tells_topic_ids = topic_ids and self._elect_controller()
        self.adds_partitions = not self.tells_topic_ids

    @property
    def address(self) -> str:
        """``host:port``."""
        return self._address

    def close(self) -> None:
        """End the broker; everything is forgotten."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic that does not exist."""
        problem = self._library.rd_kafka_mock_topic_create(
            self._cluster, name.encode(), partitions, 1
        )
        if problem:
            raise ValueError(f"cannot create {name!r}: error {problem}")

    def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        self._known.discard(name)
        problem = self._library.rd_kafka_mock_topic_delete(self._cluster, name.encode())
        if problem:
            raise ValueError(f"cannot delete {name!r}: error {problem}")

    def publish(self, topic: str, value: bytes | None, **fields: Any) -> None:
        """Append a record, and wait until that is acknowledged."""
        if topic not in self._known:
            self._known.add(topic)
            self._producer.list_topics(topic, timeout=_TIMEOUT)
        super().publish(topic, value, **fields)

    def add_partitions(self, name: str, total: int) -> None:
        """Let an empty topic have *total* partitions; its id becomes another one as well."""
        self.delete_topic(name)
        self.create_topic(name, total)

    def publish_undecodable(self, topic: str) -> None:
        """Append a record, to partition 0, that no reader can decode."""
        produce_undecodable(self.address, topic)

    def delete_records(self, source: TopicPartition, before: int) -> None:
        """Remove what *source* has below offset *before*."""
        self._library.rd_kafka_mock_partition_delete_records(
            self._cluster, source.topic.encode(), source.partition, before
        )

    def stop(self) -> None:
        """Answer nobody until `start`."""
        self._library.rd_kafka_mock_broker_set_down(self._cluster, _BROKER_ID)

    def start(self) -> None:
        """Answer again, at the same address; everything is still there."""
        self._library.rd_kafka_mock_broker_set_up(self._cluster, _BROKER_ID)

    def _elect_controller(self) -> bool:
        """Let there be a controller: who is asked for topic ids."""
        if not self._library.has("rd_kafka_mock_set_controller_id"):
            return False
        self._library.rd_kafka_mock_set_controller_id(self._cluster, _BROKER_ID)
        return True

    @cached_property
    def _producer(self) -> Producer:
        return Producer({"bootstrap.servers": self.address, "linger.ms": 0, "log_level": 0})


class _Field(ctypes.Structure):
    """One field of a record, as librdkafka's `rd_kafka_vu_t` has it."""

    class _Value(ctypes.Union):
        class _Header(ctypes.Structure):
            _fields_ = (("name", _Text), ("value", _Text), ("size", ctypes.c_ssize_t))

        class _Bytes(ctypes.Structure):
            _fields_ = (("start", _Text), ("size", ctypes.c_size_t))

        _fields_ = (
            ("text", _Text),
            ("number", ctypes.c_int32),
            ("bytes", _Bytes),
            ("header", _Header),
            ("pad", ctypes.c_char * 64),
        )

    _fields_ = (("kind", ctypes.c_int), ("value", _Value))


_TOPIC, _PARTITION, _VALUE, _HEADER = 1, 3, 4, 9


def produce_undecodable(servers: str, topic: str) -> None:
    """Append to partition 0 a record with a header name that is not UTF-8: no client does that."""
    library = _Library()
    fields = (_Field * 4)()
    for each, kind in zip(fields, (_TOPIC, _PARTITION, _VALUE, _HEADER), strict=True):
        each.kind = kind
    fields[0].value.text = topic.encode()
    fields[1].value.number = 0
    fields[2].value.bytes.start, fields[2].value.bytes.size = b"value", 5
    header = fields[3].value.header
    header.name, header.value, header.size = b"\xff\xfe", b"x", 1
    client = library.client(bootstrap_servers=servers)
    try:
        if library.rd_kafka_produceva(client, fields, len(fields)):
            raise OSError(f"not produced to {topic!r}")
        if library.rd_kafka_flush(client, round(_TIMEOUT * 1000)):
            raise OSError(os.strerror(110))
    finally:
        library.rd_kafka_destroy(client)
