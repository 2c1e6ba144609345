"""Looks at the topic: what becomes of it, and how long a driver may be waited for meanwhile."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from filesync import TopicPartition
from filesync.testing import ManualClock
from filesync.transport import (
    Fault,
    OutOfRange,
    PartitionFound,
    PartitionLost,
    TopicRecreated,
    Unreadable,
)
from filesync_kafka_common.discovery import PATIENCE, Answer, Discovery
from filesync_kafka_common.lookout import Extent, Lookout, Seen, connection_line, let_go_by
from filesync_kafka_common.weather import Weather

_P0, _P1 = TopicPartition("zones", 0), TopicPartition("zones", 1)


# What a look tells


def _seen(*partitions: int, topic_id: str | None = "one", **extents: Extent) -> Seen:
    return Seen(
        partitions=frozenset(partitions),
        topic_id=topic_id,
        cluster_id="c",
        extents={int(name[1:]): extent for name, extent in extents.items()},
    )


def _found(source: TopicPartition, start: int, end: int, topic_id: str = "one") -> PartitionFound:
    return PartitionFound(source=source, start=start, end=end, topic_id=topic_id, cluster_id="c")


def test_a_partition_is_found_once_it_was_measured() -> None:
    """And once only."""
    lookout = Lookout("zones")
    assert lookout.unmeasured([0, 1], "one") == {0, 1}
    half = _seen(0, 1, p0=(2, 5))
    assert lookout.judge(half) == [_found(_P0, 2, 5)]
    assert not lookout.is_complete(half)
    assert lookout.unmeasured([0, 1], "one") == {1}
    rest = _seen(0, 1, p1=(0, 0))
    assert lookout.judge(rest) == [_found(_P1, 0, 0)]
    assert lookout.is_complete(rest)
    assert lookout.judge(_seen(0, 1, p0=(3, 6))) == []


def test_a_partition_that_is_missing_twice_is_lost() -> None:
    """Once may be one broker's memory."""
    lookout = Lookout("zones")
    lookout.judge(_seen(0, 1, p0=(0, 1), p1=(0, 1)))
    assert lookout.judge(_seen(0)) == []
    assert lookout.judge(_seen(0, 1)) == []
    assert lookout.judge(Seen(partitions=None)) == []
    assert lookout.judge(Seen(partitions=None)) == [
        PartitionLost(source=_P0),
        PartitionLost(source=_P1),
    ]
    assert lookout.judge(_seen(0, p0=(0, 1))) == [_found(_P0, 0, 1)]


def test_another_topic_id_is_another_topic() -> None:
    """All its partitions are new; a broker that tells no id changes nothing."""
    lookout = Lookout("zones")
    lookout.judge(_seen(0, p0=(0, 9)))
    assert lookout.judge(_seen(0, topic_id=None)) == []
    lookout.stray(0, 9)
    assert lookout.unmeasured([0, 1], "two") == {0, 1}
    assert lookout.judge(_seen(0, 1, topic_id="two", p0=(0, 3), p1=(0, 0))) == [
        TopicRecreated(topic="zones", topic_id="two"),
        _found(_P0, 0, 3, "two"),
        _found(_P1, 0, 0, "two"),
    ]
    assert lookout.unmeasured([0, 1], "two") == set()


def test_a_stray_position_is_told_with_the_extent_of_the_log() -> None:
    """Unless the partition was assigned anew in the meantime."""
    lookout = Lookout("zones")
    lookout.judge(_seen(0, 1, p0=(0, 9), p1=(0, 9)))
    lookout.stray(0, 100)
    lookout.stray(1, 200)
    assert lookout.unmeasured([0, 1], "one") == {0, 1}
    lookout.settle(1)
    assert not lookout.is_complete(_seen(0, 1))
    assert lookout.judge(_seen(0, 1, p0=(3, 9), p1=(3, 9))) == [
        OutOfRange(source=_P0, position=100, start=3, end=9)
    ]
    assert lookout.is_complete(_seen(0, 1))


def test_whoever_only_sends_is_told_what_is_gone() -> None:
    """A partition is known once it was seen: nothing is measured, and nothing found is told."""
    lookout = Lookout("zones", measured=False)
    assert lookout.unmeasured([0, 1], "one") == set()
    assert not lookout.is_complete(_seen(0, 1))
    assert lookout.judge(_seen(0, 1)) == []
    assert lookout.is_complete(_seen(0, 1))
    assert lookout.judge(_seen(0)) == []
    assert lookout.judge(_seen(0)) == [PartitionLost(source=_P1)]
    recreated = [TopicRecreated(topic="zones", topic_id="two")]
    assert lookout.judge(_seen(0, 1, topic_id="two")) == recreated
    assert lookout.unmeasured([0, 1], "three") == set()
    assert lookout.is_complete(_seen(0, 1, topic_id="two"))


def test_a_healthy_connection_is_described_in_one_line() -> None:
    """With what is known."""
    assert connection_line("b:1", "zones", _seen(0)) == (
        "connected to b:1 of cluster c; 'zones' has 1 partition"
    )
    assert connection_line("b:1", "zones", Seen(partitions=frozenset({0, 1}))) == (
        "connected to b:1; 'zones' has 2 partitions"
    )


# Looking


class Cluster:
    """One that has the topic, and answers a question when it is asked for the answer again."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def serve(self) -> None:
        """Nothing is to be served."""

    def describe(self) -> Answer:
        """Answer that there are two partitions."""
        self.asked.append("what there is")
        yield
        return _seen(0, 1)

    def measure(self, partitions: frozenset[int]) -> Generator[None, None, Mapping[int, Extent]]:
        """Answer that they are empty."""
        self.asked.append("extents")
        yield
        return dict.fromkeys(partitions, (0, 0))


def _discovery(cluster: Cluster, clock: ManualClock, *, measured: bool = True) -> Discovery:
    return Discovery(
        cluster,
        "zones",
        servers="b:1",
        weather=Weather("b:1", clock),
        period=30.0,
        measured=measured,
        clock=clock,
    )


def test_whoever_only_sends_asks_for_the_topic_only() -> None:
    """A reader needs to know where partitions begin and end; both look again in half a minute."""
    for measured, asked, found in (
        (True, ["what there is", "extents"], [_found(_P0, 0, 0), _found(_P1, 0, 0)]),
        (False, ["what there is"], []),
    ):
        cluster, clock = Cluster(), ManualClock()
        discovery = _discovery(cluster, clock, measured=measured)
        assert [fault for _ in range(5) for fault in discovery.step()] == found
        clock.advance(29)
        discovery.step()
        assert cluster.asked == asked
        clock.advance(1)
        discovery.step()
        assert cluster.asked == [*asked, "what there is"]


def test_a_driver_is_waited_for_shortly_while_an_answer_is_due() -> None:
    """Most come soon: later, and without a look, a fifth of a second; never longer than is left."""
    clock = ManualClock()
    discovery = _discovery(Cluster(), clock)
    assert [discovery.patience(left) for left in (9.0, 0.05, 0.0, -1.0)] == [0.2, 0.05, 0.0, 0.0]
    discovery.step()
    assert [discovery.patience(left) for left in (9.0, 0.005, -1.0)] == [0.01, 0.005, 0.0]
    clock.advance(PATIENCE)
    assert discovery.patience(9.0) == 0.2


# What is let go


def test_a_fault_ends_the_reading_of_what_it_is_about() -> None:
    """Of one partition, or of all; what is only told changes nothing."""
    mine = [TopicPartition("t", number) for number in range(3)]
    lost = PartitionLost(source=mine[0])
    stray = OutOfRange(source=mine[1], position=5, start=7, end=9)
    foreign = PartitionLost(source=TopicPartition("t", 9))
    found = PartitionFound(source=mine[2], start=0, end=0, topic_id=None, cluster_id=None)
    unreadable = Unreadable(source=mine[2], offset=1, why="damaged")
    told: list[Fault] = [found, unreadable, foreign]

    assert let_go_by(told, mine) == frozenset()
    assert let_go_by([*told, lost, stray], mine) == {mine[0], mine[1]}
    assert let_go_by([lost, TopicRecreated(topic="t", topic_id="new"), *told], mine) == {*mine}
