"""Records and holes of one poll, in the order of the log."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from filesync._model import Record, TopicPartition
from filesync._reading import in_order
from filesync.transport import PartitionLost, Polled, Unreadable

P0, P1 = TopicPartition("zones", 0), TopicPartition("zones", 1)


def record(source: TopicPartition, offset: int) -> Record:
    """Return a record of which only the place counts."""
    return Record(source, offset, None, None, b"", ())


def hole(source: TopicPartition, offset: int) -> Unreadable:
    """Return a record that could not be read."""
    return Unreadable(source=source, offset=offset, why="it is broken")


def test_a_hole_comes_where_it_is() -> None:
    """What came before does not know of it, what comes behind does; other partitions go on."""
    polled = Polled(
        records=[record(P0, 1), record(P1, 7), record(P0, 4), record(P1, 8)],
        faults=[hole(P0, 5), hole(P0, 2), PartitionLost(source=P1), hole(P0, 3), hole(P1, 6)],
    )
    assert [(each.source, each.offset) for each in in_order(polled)] == [
        (P0, 1),
        (P1, 6),
        (P1, 7),
        (P0, 2),
        (P0, 3),
        (P0, 4),
        (P1, 8),
        (P0, 5),
    ]


@given(
    log=st.lists(st.tuples(st.sampled_from([P0, P1]), st.booleans()), max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=5),
)
def test_how_it_was_polled_makes_no_difference(
    log: list[tuple[TopicPartition, bool]], cuts: list[int]
) -> None:
    """Of each partition the same comes in the same order, in one poll or in many."""
    things = [
        record(source, offset) if sound else hole(source, offset)
        for offset, (source, sound) in enumerate(log)
    ]
    bounds = [0, *sorted(cuts), len(things)]
    for source in (P0, P1):
        told = [
            each
            for begin, end in itertools.pairwise(bounds)
            for each in in_order(
                Polled(
                    records=[each for each in things[begin:end] if isinstance(each, Record)],
                    faults=[each for each in things[begin:end] if isinstance(each, Unreadable)],
                )
            )
            if each.source == source
        ]
        assert told == [each for each in things if each.source == source]
