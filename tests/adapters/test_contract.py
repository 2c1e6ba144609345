"""Every transport keeps the contract: the one in memory, and each driver's on an embedded broker."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import pytest

from filesync import KafkaSettings, Settings, TopicPartition
from filesync.testing import (
    MemoryBroker,
    MemoryTransport,
    OpenTransport,
    TransportContract,
)
from filesync.transport import Transport

_PROMISED = os.environ.get("FILESYNC_TRANSPORTS", "memory,confluent-kafka").split(",")

_HOSTNAME = "contract.example"

