"""One log, read with every driver and from memory: nobody can tell which one it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from filesync import FaultSeen, Outcome, RecordRefused, Settings, TopicPartition, TransferEnded
from filesync.testing import MemoryBroker, MemoryTransport
from filesync.transport import Transport
from support.embedded import produce_undecodable
from support.kafka import KafkaBroker
from support.mixed_log import Entry, draw
from support.resident import DRIVERS, Resident, open_on

pytestmark = pytest.mark.kafka

_COUNT = 2_000

#: What is there before the first record comes: it gets a backup.
_BEFORE = {"whole/1.rpz": 0o600, "named/1.rpz": 0o644, "etc/1.json": 0o640}

#: With what the first half of the log is read, the second, and what a restart reads again.
_READERS = [
    ("memory", "memory", "memory"),
    ("confluent-kafka", "confluent-kafka", "confluent-kafka"),
    ("kafka-python", "kafka-python", "kafka-python"),
    ("confluent-kafka", "kafka-python", "confluent-kafka"),
    ("kafka-python", "confluent-kafka", "kafka-python"),
]


class _Log:
    """The same log twice: in a topic of a real broker, and in memory."""

    def __init__(self, broker: KafkaBroker, topic: str, partitions: int) -> None:
        self._broker = broker
        self._topic = topic
        self._memory = MemoryBroker()
        self._memory.create_topic(topic, partitions)
        broker.create_topic(topic, partitions, {"retention.ms": "-1"})

    def publish(self, entries: Sequence[Entry]) -> None:
        """Append *entries* to both."""
        producer = self._broker.producer()
        for entry in entries:
            if entry.undecodable:
                # It comes from another producer.
                assert producer.flush(30) == 0
                produce_undecodable(self._broker.bootstrap, self._topic)
                self._memory.publish_undecodable(self._topic)
                continue
            producer.produce(
                self._topic,
                value=entry.value,
                key=entry.key,
                headers=list(entry.headers),
                partition=entry.partition,
                timestamp=entry.timestamp_ms,
            )
            self._memory.publish(
                self._topic,
                entry.value,
                key=entry.key,
                headers=entry.headers,
                partition=entry.partition,
                timestamp=entry.timestamp_ms / 1000,
            )
        assert producer.flush(30) == 0

    def open(self, reader: str, settings: Settings) -> Transport:
        """Return a transport of the log."""
        if reader == "memory":
            return MemoryTransport(self._memory, self._topic)
        return open_on(reader, settings)


class _Host:
    """A resident that may be started with one driver, and again with another."""

    def __init__(self, folder: Path, log: _Log, broker: KafkaBroker, topic: str) -> None:
        self._log = log
        self._reader = ""
        self.resident = Resident(folder, topic, self._open, address=broker.bootstrap)
        for name, mode in _BEFORE.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"before\n")
            path.chmod(mode)

    def read(self, reader: str) -> dict[str, Any]:
        """Read to the end with *reader*; return what is to be seen afterwards."""
        self._reader = reader
        told = len(self.resident.outcomes)
        stats = self.resident.read_to_the_end()
        ledger = self.resident.ledger()
        counters = Counter(stats.counters)
        del counters["health_changed"]
        return {
            "files": self.resident.files(),
            "modes": self.resident.modes(),
            "outcomes": self.resident.outcomes[told:],
            "counters": counters,
            "actions": list(self.resident.actions),
            "positions": dict(stats.positions),
            "safe": dict(stats.safe_positions),
            "open": (stats.open_transfers, stats.spooled_bytes),
            "journal": (dict(ledger.files), dict(ledger.positions), ledger.served, ledger.epoch),
        }

    def _open(self, settings: Settings) -> Transport:
        return self._log.open(self._reader, settings)


#: What a transfer that is read again may end as, if it may start elsewhere then.
_AGAIN = ("superseded", "unchanged")


def _in_order(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return everything that is told but the weather; why a record is unreadable differs."""
    return [
        evolve(outcome, detail=outcome.detail.partition(":")[0])
        if isinstance(outcome, FaultSeen)
        else outcome
        for outcome in outcomes
        if outcome.label != "health_changed"
    ]


def _by_partition(outcomes: Sequence[Outcome]) -> dict[Any, list[Any]]:
    """
    Return what does not depend on which partition is read first.

    That is the order of refused records in each; how the transfers of each
    file that started in each ended, though not why; and how often all else
    was told.
    """
    found: dict[Any, list[Any]] = {}
    for outcome in _in_order(outcomes):
        match outcome:
            case RecordRefused(source=source):
                found.setdefault(source, []).append(outcome)
            case TransferEnded(name=name, origin=origin, ending=ending, size=size):
                told: tuple[object, ...] = (ending.value, origin, size)
                if name.startswith("spread/"):
                    # It starts where it was seen first: read again, elsewhere perhaps.
                    told = (_AGAIN if ending.value in _AGAIN else ending.value, None, size)
                found.setdefault(name, []).append(told)
            case _:
                found.setdefault(outcome.label, []).append(None)
    for key, values in found.items():
        if isinstance(key, str):
            values.sort(key=repr)
    return found


def _without_spread_chunks(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out chunks that wait for others, if they are named after the first one that came."""
    return {
        name: value
        for name, value in found.items()
        if not (name.startswith("spread/") and ".chunks" in name)
    }


def _comparable(seen: dict[str, Any], *, partitions: int) -> dict[str, Any]:
    if partitions == 1:
        return seen | {"outcomes": _in_order(seen["outcomes"])}
    known, *rest = seen["journal"]
    same = {
        name: evolve(file, sequence=0, origin=None if name.startswith("spread/") else file.origin)
        for name, file in known.items()
    }
    actions = [(action, sorted(names)) for action, names in seen["actions"]]
    counters = Counter(seen["counters"])
    again = sum(counters.pop(label, 0) for label in _AGAIN)
    return seen | {
        "counters": counters | Counter({str(_AGAIN): again}),
        "files": _without_spread_chunks(seen["files"]),
        "modes": _without_spread_chunks(seen["modes"]),
        "outcomes": _by_partition(seen["outcomes"]),
        "journal": (same, *rest),
        "actions": actions,
    }


@pytest.mark.parametrize("undecodable", [0, 6])
@pytest.mark.parametrize("partitions", [1, 4])
def test_all_drivers_and_memory_end_in_the_same(
    tmp_path: Path, kafka_broker: KafkaBroker, partitions: int, undecodable: int
) -> None:
    """
    2,000 mixed records, in two halves: files, backups, outcomes, counters and positions are alike.

    So they are if the second half is read with the other driver than the
    first, and if transfers that are not whole yet are read again.
    """
    kafka_broker.start()
    topic = f"differential-{tmp_path.name}"
    entries = draw(41, _COUNT, partitions, undecodable=undecodable)
    log = _Log(kafka_broker, topic, partitions)
    hosts = [
        _Host(tmp_path / f"{number}", log, kafka_broker, topic) for number in range(len(_READERS))
    ]
    for part in range(len(_READERS[0])):
        log.publish(entries[part * _COUNT // 2 : (part + 1) * _COUNT // 2])
        seen = [
            _comparable(host.read(readers[part]), partitions=partitions)
            for host, readers in zip(hosts, _READERS, strict=True)
        ]
        for readers, other in zip(_READERS, seen, strict=True):
            for what, expected in seen[0].items():
                assert other[what] == expected, f"{what} of {readers} in part {part + 1}"
        if part < 2:
            _check_that_it_was_mixed(seen[0]["counters"])
            assert bool(seen[0]["counters"]["unreadable"]) is bool(undecodable)


@pytest.mark.parametrize("first", DRIVERS)
def test_a_journal_is_read_on_by_the_other_driver(
    tmp_path: Path, kafka_broker: KafkaBroker, first: str
) -> None:
    """Nothing is read twice, and the topic does not look like another one."""
    kafka_broker.start()
    (second,) = set(DRIVERS) - {first}
    topic = f"switched-{tmp_path.name}"
    log = _Log(kafka_broker, topic, 2)
    host = _Host(tmp_path / "files", log, kafka_broker, topic)
    log.publish([_file("a.rpz", 0), _file("b.rpz", 1)])
    assert host.read(first)["counters"]["committed"] == 2
    before = host.resident.ledger()
    assert before.logs[topic].topic_id
    assert before.logs[topic].cluster_id == kafka_broker.cluster_id

    assert host.read(second)["counters"] == {"caught_up": 1, "records": 0, "passed_over": 0}
    assert host.resident.ledger().logs == before.logs, "the ids are spelled alike"

    log.publish([_file("c.rpz", 0)])
    seen = host.read(second)
    assert seen["counters"]["records"] == 1
    assert host.read(first)["counters"] == {"caught_up": 1, "records": 0, "passed_over": 0}
    assert host.resident.told().count("committed") == 3
    assert set(host.resident.told()) == {"committed", "caught_up", "renew_served"}
    assert host.resident.ledger().epoch == 0
    assert seen["positions"] == {TopicPartition(topic, 0): 2, TopicPartition(topic, 1): 1}


def _file(name: str, partition: int) -> Entry:
    headers = (("hostname", b"ns1"), ("file-name", name.encode()))
    return Entry(partition=partition, headers=headers, value=b"x", timestamp_ms=1_700_000_000_000)


def _check_that_it_was_mixed(counters: Counter[str]) -> None:
    wanted = {
        "committed",
        "invalid",
        "digest_mismatch",
        "size_mismatch",
        "malformed",
        "refused_name",
        "refused_quota",
        "late_duplicate",
        "passed_over",
    }
    assert wanted <= counters.keys(), wanted - counters.keys()
