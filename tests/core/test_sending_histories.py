"""What is sent, and a model of it, in any weather."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from filesync._model import Kind, TopicPartition
from filesync._sending import Parting, SendChunk, Sending, Shipment, ShipmentEnded
from filesync.exceptions import InvalidTransitionError
from support.pieces import P0, P1, examples
from support.shipments import ANEW, CANCELLED, FAILED, SENT, WITHHELD, shipment


class Publishing(RuleBasedStateMachine):
    """
    Chunks are handed out and settled in any order, in a small window; it may be cancelled.

    The log may be another one suddenly, and records may wait in vain.
    """

    sending = Sending([])
    window_bytes = window_records = 0
    acknowledged_bytes = 0
    cancelled = False

    def __init__(self) -> None:
        super().__init__()
        self.shipments: list[Shipment] = []
        #: By name: the chunks that were handed out, how many of them came back, the end.
        self.chunks: dict[str, list[SendChunk]] = {}
        self.returned: dict[str, int] = {}
        self.ends: dict[str, Parting] = {}
        self.under_way: dict[int, SendChunk] = {}
        self.settled: list[int] = []
        #: By partition: the largest offset of what was handed out since the topic was lost.
        self.highest: dict[TopicPartition, int] = {}
        self.lost_at = 0
        #: The hosts of which the log has data, and those that lost some of it.
        self.reached: set[str] = set()
        self.bereft: set[str] = set()
        #: By ticket: how much had been acknowledged when it was handed out.
        self.before: dict[int, int] = {}
        self.acknowledgements = 0

    # The model

    def of(self, hostname: str, kind: Kind) -> list[Shipment]:
        """Return the files of a host, data or configuration."""
        return [x for x in self.shipments if (x.hostname, x.kind) == (hostname, kind)]

    def may_go(self, file: Shipment) -> bool:
        """Whether it is the turn of *file*, and something is left of it."""
        chunks = self.chunks[file.name]
        data = self.of(file.hostname, Kind.DATA) if file.kind is Kind.CONFIG else []
        return (
            file.name not in self.ends
            and not (chunks and chunks[-1].stop == file.size)
            and all(self.ends.get(each.name) is SENT for each in data)
            and not (data and file.hostname in self.bereft)
        )

    def fits(self, file: Shipment) -> bool:
        """Whether the next chunk of *file* has room in the window."""
        start = sum(order.stop - order.start for order in self.chunks[file.name])
        length = min(file.chunk_bytes, file.size - start)
        return not self.under_way or self.bytes_under_way() + length <= self.window_bytes

    def bytes_under_way(self) -> int:
        return sum(order.stop - order.start for order in self.under_way.values())

    def end(self, file: Shipment, parting: Parting) -> dict[str, Parting]:
        """Return what ends with *file*: the configurations too, if its host lost data."""
        new = {file.name: parting}
        self.ends[file.name] = parting
        data = self.of(file.hostname, Kind.DATA)
        partings = [self.ends.get(each.name) for each in data]
        bereft = {*partings} != {SENT} or file.hostname in self.bereft
        if file.kind is Kind.DATA and None not in partings and bereft:
            new |= self.withhold(file.hostname)
        return new

    def withhold(self, hostname: str) -> dict[str, Parting]:
        """Return the configurations of a host that end because of its data."""
        open_ones = [x for x in self.of(hostname, Kind.CONFIG) if x.name not in self.ends]
        new = {each.name: WITHHELD for each in open_ones}
        self.ends |= new
        return new

    def fail(self, files: list[Shipment]) -> dict[str, Parting]:
        """Return what ends when *files* fail at once."""
        new: dict[str, Parting] = {}
        for file in sorted(files, key=lambda file: file.kind is Kind.CONFIG):
            if file.name not in self.ends:
                new |= self.end(file, FAILED)
        return new

    def lose(self) -> dict[str, Parting]:
        """Return what ends when the topic is gone: all that was begun, and what follows it."""
        self.highest.clear()
        self.lost_at = max([0, *self.settled, *self.under_way])
        new = self.fail([file for file in self.shipments if self.chunks[file.name]])
        for hostname in sorted(self.reached):
            self.bereft.add(hostname)
            if all(each.name in self.ends for each in self.of(hostname, Kind.DATA)):
                new |= self.withhold(hostname)
        self.reached.clear()
        return new

    # What happens

    @initialize(
        files=st.lists(
            st.tuples(
                st.sampled_from(["ns1", "ns2", "ns3"]),
                st.sampled_from(["rpz", "rpz", "yaml"]),
                st.sampled_from([0, 1, 2, 3, 4, 5, 9]),
                st.integers(1, 4),
            ),
            max_size=8,
        ),
        window_bytes=st.integers(1, 9),
        window_records=st.integers(1, 5),
    )
    def begin(
        self, files: list[tuple[str, str, int, int]], window_bytes: int, window_records: int
    ) -> None:
        self.shipments = [
            shipment(f"{number}.{suffix}", size, hostname=hostname, chunk_bytes=chunk_bytes)
            for number, (hostname, suffix, size, chunk_bytes) in enumerate(files)
        ]
        self.chunks = {file.name: [] for file in self.shipments}
        self.returned = {file.name: 0 for file in self.shipments}
        self.window_bytes, self.window_records = window_bytes, window_records
        self.sending = Sending(
            iter(self.shipments), window_bytes=window_bytes, window_records=window_records
        )
        assert self.sending.total_bytes == sum(file.size for file in self.shipments)

    @rule(most=st.integers(1, 6))
    def hand_out(self, most: int) -> None:
        for _ in range(most):
            order = self.sending.next()
            if order is None:
                self.check_nothing()
                return
            self.check_turn(order)
            self.under_way[order.ticket] = order
            self.before[order.ticket] = self.acknowledgements
            self.chunks[order.shipment.name].append(order)
            assert len(self.under_way) <= self.window_records
            assert len(self.under_way) == 1 or self.bytes_under_way() <= self.window_bytes

    def check_nothing(self) -> None:
        """There is a reason to hand out nothing."""
        waiting = [file for file in self.shipments if self.may_go(file)]
        full = len(self.under_way) == self.window_records
        assert full or not waiting or not all(self.fits(file) for file in waiting)
        assert self.under_way or not waiting, "it waits for nothing"
        assert self.under_way or len(self.ends) == len(self.shipments), "it never ends"

    def check_turn(self, order: SendChunk) -> None:
        """It is the next chunk of a file, the turn of which it is."""
        file, before = order.shipment, self.chunks[order.shipment.name]
        assert not self.cancelled
        assert order.ticket not in self.under_way
        assert order.ticket not in self.settled
        assert self.may_go(file), "it ended, is handed out already, or has to wait"
        assert order.index == len(before)
        assert order.start == (before[-1].stop if before else 0)
        assert order.is_last is (order.stop == file.size)
        assert order.is_last or order.stop - order.start == file.chunk_bytes
        assert order.stop - order.start in range(file.size > 0, file.chunk_bytes + 1)
        for other in self.shipments[: self.shipments.index(file)]:
            if other.kind is file.kind and (
                file.kind is Kind.DATA or other.hostname == file.hostname
            ):
                assert not self.may_go(other), "it was given before"

    @precondition(lambda self: self.under_way)
    @rule(
        which=st.integers(0, 9),
        source=st.sampled_from([None, P0, P1]),
        step=st.sampled_from([1, 1, 1, 2, 0, -1]),
    )
    def acknowledge(self, which: int, source: TopicPartition | None, step: int) -> None:
        order = self.settle(which)
        file, expected = order.shipment, dict[str, Parting]()
        offset = max(-1, self.highest.get(source, -1) + step) if source else -1
        self.acknowledgements += 1
        self.acknowledged_bytes += order.stop - order.start
        self.returned[file.name] += 1
        if source is not None and offset >= 0 and order.ticket > self.lost_at:
            if offset <= self.highest.get(source, -1):
                expected = self.lose()
            else:
                self.highest[source] = offset
        if file.kind is Kind.DATA:
            self.reached.add(file.hostname)
        chunks = self.chunks[file.name]
        complete = chunks[-1].stop == file.size and self.returned[file.name] == len(chunks)
        if complete and file.name not in self.ends:
            expected |= self.end(file, SENT)
        self.check_ends(self.sending.acknowledged(order.ticket, source, offset), expected)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 9), overdue=st.booleans())
    def fail_to_acknowledge(self, which: int, overdue: bool) -> None:
        order = self.settle(which)
        expected = self.fail([order.shipment])
        if overdue and self.before[order.ticket] == self.acknowledgements:
            expected |= self.fail(self.shipments)
            assert len(self.ends) == len(self.shipments)
        ended = self.sending.failed(order.ticket, "timed out", overdue=overdue)
        self.check_ends(ended, expected)

    def settle(self, which: int) -> SendChunk:
        order = self.under_way.pop(sorted(self.under_way)[which % len(self.under_way)])
        self.settled.append(order.ticket)
        return order

    @rule(sure=st.sampled_from([False, False, False, True]))
    def lose_the_topic(self, sure: bool) -> None:
        if sure:
            self.check_ends(self.sending.topic_lost(ANEW), self.lose())

    def check_ends(self, ended: list[ShipmentEnded], expected: dict[str, Parting]) -> None:
        """Just those ended, each once, and the cause before what follows from it."""
        found = [(each.shipment.name, each.parting) for each in ended]
        order = [name for name, _ in found]
        for each in ended:
            if each.parting is WITHHELD and each.detail != ANEW:
                cause = each.detail.removesuffix(" was not sent")
                assert cause not in order or order.index(cause) < order.index(each.shipment.name)
        assert sorted(found, key=str) == sorted(expected.items(), key=str)
        for each in ended:
            assert (each.detail == "") is (each.parting is SENT)
            if each.parting is WITHHELD:
                assert not self.chunks[each.shipment.name]
                assert each.detail in {
                    f"{data.name} was not sent"
                    for data in self.of(each.shipment.hostname, Kind.DATA)
                    if self.ends[data.name] is FAILED
                } | ({ANEW} if each.shipment.hostname in self.bereft else set())

    @precondition(lambda self: self.settled)
    @rule(which=st.integers(0, 9), good=st.booleans())
    def settle_again(self, which: int, good: bool) -> None:
        ticket = self.settled[which % len(self.settled)]
        with pytest.raises(InvalidTransitionError):
            self.sending.acknowledged(ticket) if good else self.sending.failed(ticket, "again")

    @rule(sure=st.sampled_from([False, False, False, True]))
    def cancel(self, sure: bool) -> None:
        if sure:
            expected = {x.name: CANCELLED for x in self.shipments if x.name not in self.ends}
            ended = [(each.shipment.name, each.parting) for each in self.sending.cancel()]
            assert sorted(ended, key=str) == sorted(expected.items(), key=str)
            self.ends |= expected
            self.cancelled = True
            assert self.sending.next() is None

    @invariant()
    def what_is_counted_is_so(self) -> None:
        assert self.sending.finished is (len(self.ends) == len(self.shipments))
        assert self.sending.unacknowledged == len(self.under_way)
        assert self.sending.acknowledged_bytes == self.acknowledged_bytes

    def teardown(self) -> None:
        """When all goes well from now on every file ends, the newest record first."""
        self.hand_out(100)
        while self.under_way:
            self.acknowledge(len(self.under_way) - 1, None, 1)
            self.hand_out(100)
        assert self.sending.finished
        assert set(self.ends) == {file.name for file in self.shipments}
        if self.ends and {*self.ends.values()} == {SENT}:
            assert self.sending.acknowledged_bytes == self.sending.total_bytes


TestPublishing = Publishing.TestCase
TestPublishing.settings = examples(150, steps=20)
