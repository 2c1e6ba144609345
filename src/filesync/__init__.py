"""
Carries files from Kafka to DNS daemons: whole, validated, followed by a reload.

The names here are pure: they decide, and act on nothing. What acts is in
`filesync.runtime`; what can be plugged in is in `filesync.transport` and
`filesync.daemon`.
"""

from __future__ import annotations

from filesync._engine import Engine
from filesync._model import ChangedFile, Claims, CommittedFile, Kind, Origin, Record, TopicPartition
from filesync._outcomes import (
    ActionEnded,
    CaughtUp,
    CommitParked,
    CommitRetried,
    Ending,
    FaultSeen,
    HealthChanged,
    Outcome,
    RecordRefused,
    SpoolRetried,
    TransferEnded,
)
from filesync._sending import Parting, Shipment, ShipmentEnded
from filesync._settings import (
    DaemonSettings,
    FileRule,
    KafkaSettings,
    Limits,
    RouteBy,
    Schedule,
    SecurityProtocol,
    Settings,
    Start,
)
from filesync._settings_file import read_settings
from filesync._splitter import Slice, split
from filesync._stats import Stats
from filesync.exceptions import FileSyncError

__all__ = [
    "ActionEnded",
    "CaughtUp",
    "ChangedFile",
    "Claims",
    "CommitParked",
    "CommitRetried",
    "CommittedFile",
    "DaemonSettings",
    "Ending",
    "Engine",
    "FaultSeen",
    "FileRule",
    "FileSyncError",
    "HealthChanged",
    "KafkaSettings",
    "Kind",
    "Limits",
    "Origin",
    "Outcome",
    "Parting",
    "Record",
    "RecordRefused",
    "RouteBy",
    "Schedule",
    "SecurityProtocol",
    "Settings",
    "Shipment",
    "ShipmentEnded",
    "Slice",
    "SpoolRetried",
    "Start",
    "Stats",
    "TopicPartition",
    "TransferEnded",
    "read_settings",
    "split",
]
