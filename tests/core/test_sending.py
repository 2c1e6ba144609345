"""What is sent next, and what becomes of each file: order, window, failures, any weather."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from filesync._model import Claims, Kind, TopicPartition
from filesync._sending import Parting, SendChunk, Sending, Shipment, ShipmentEnded
from filesync._splitter import DEFAULT_CHUNK_BYTES, split
from filesync.exceptions import InvalidTransitionError
from support.pieces import examples, target

SENT, FAILED = Parting.SENT, Parting.FAILED
WITHHELD, CANCELLED = Parting.WITHHELD, Parting.CANCELLED

P0, P1 = TopicPartition("t", 0), TopicPartition("t", 1)

_ANEW = "the topic was created anew while files were sent: send all of them again"


def shipment(
    name: str = "a.rpz", size: int = 1, *, hostname: str = "ns1", chunk_bytes: int = 2
) -> Shipment:
    """Return a file for a host; what ends in .yaml is configuration."""
    return Shipment(
        hostname=hostname,
        name=name,
        kind=target(name).kind,
        size=size,
        chunk_bytes=chunk_bytes,
        claims=Claims(transfer_id=f"{name} {hostname}", size=size),
    )


def handed_out(sending: Sending) -> list[SendChunk]:
    """Return all that may be sent now."""
    return list(iter(sending.next, None))


def told(ended: Iterable[ShipmentEnded]) -> list[str]:
    """Return what is said of shipments that ended."""
    return [str(each) for each in ended]


def names(orders: Iterable[SendChunk]) -> list[str]:
    """Return the files of chunks."""
    return [order.shipment.name for order in orders]


# Chunks


@given(size=st.integers(0, 200), chunk_bytes=st.integers(1, 50))
def test_a_file_is_cut_where_its_headers_say(size: int, chunk_bytes: int) -> None:
    """The splitter numbers the records: it and the publisher agree about each, and the last."""
    file = shipment(size=size, chunk_bytes=chunk_bytes)
    slices = list(
        split(
            hostname=file.hostname,
            name=file.name,
            size=size,
            claims=file.claims,
            chunk_bytes=chunk_bytes,
        )
    )
    orders = handed_out(Sending([file]))
    assert [(order.start, order.stop) for order in orders] == [
        (piece.start, piece.stop) for piece in slices
    ]
    assert [order.index for order in orders] == list(range(len(slices)))
    assert [order.is_last for order in orders] == [False] * (len(slices) - 1) + [True]
    assert file.count == len(slices)
    assert all(order.shipment is file for order in orders)


def test_a_file_is_sent_when_its_last_chunk_is_acknowledged() -> None:
    """Whichever that is: acknowledgements come in any order."""
    sending = Sending([shipment(size=5)])
    first, second, third = handed_out(sending)
    assert sending.acknowledged(third.ticket) == []
    assert sending.acknowledged(first.ticket) == []
    assert not sending.finished
    [ended] = sending.acknowledged(second.ticket)
    assert ended == ShipmentEnded(shipment=first.shipment, parting=SENT)
    assert sending.finished
    assert sending.next() is None


def test_a_file_is_not_sent_before_all_of_it_is_handed_out() -> None:
    """All that was sent is acknowledged, but the window kept the rest back."""
    sending = Sending([shipment(size=5)], window_records=1)
    for index in range(2):
        [order] = handed_out(sending)
        assert (order.index, sending.acknowledged(order.ticket)) == (index, [])
    [last] = handed_out(sending)
    assert told(sending.acknowledged(last.ticket)) == ["a.rpz to ns1: sent"]


def test_without_files_all_is_done() -> None:
    """Nothing is sent, nothing ends."""
    sending = Sending([])
    assert (sending.finished, sending.next(), sending.cancel()) == (True, None, [])
    assert (sending.total_bytes, sending.acknowledged_bytes, sending.unacknowledged) == (0, 0, 0)


def test_one_file_twice_is_two_shipments() -> None:
    """Equal as they are, each has an end."""
    sending = Sending([shipment(), shipment()])
    orders = handed_out(sending)
    assert [len(sending.acknowledged(order.ticket)) for order in orders] == [1, 1]
    assert sending.finished


def test_a_ticket_is_used_once() -> None:
    """What was settled, and what never was handed out, cannot be settled: nothing changes."""
    sending = Sending([shipment(size=5)])
    tickets = [order.ticket for order in handed_out(sending)]
    assert len(set(tickets)) == 3
    sending.acknowledged(tickets[0])
    for ticket in (tickets[0], max(tickets) + 1):
        with pytest.raises(InvalidTransitionError):
            sending.acknowledged(ticket)
        with pytest.raises(InvalidTransitionError):
            sending.failed(ticket, "too late")
    assert (sending.unacknowledged, sending.acknowledged_bytes) == (2, 2)
    assert not sending.finished


def test_bytes_count_when_they_are_acknowledged() -> None:
    """Those of a transfer that failed too: the log has them."""
    sending = Sending([shipment(size=5), shipment("b.yaml", 7, hostname="ns2", chunk_bytes=9)])
    assert (sending.total_bytes, sending.acknowledged_bytes) == (12, 0)
    first, second, third, other = handed_out(sending)
    assert (sending.acknowledged_bytes, sending.unacknowledged) == (0, 4)
    sending.acknowledged(third.ticket)
    assert (sending.acknowledged_bytes, sending.unacknowledged) == (1, 3)
    sending.failed(first.ticket, "refused")
    assert (sending.acknowledged_bytes, sending.unacknowledged) == (1, 2)
    sending.acknowledged(second.ticket)
    sending.acknowledged(other.ticket)
    assert (sending.acknowledged_bytes, sending.unacknowledged) == (10, 0)


def test_what_is_told_of_earlier_tickets_says_nothing() -> None:
    """They were another's, which failed while they were under way: it is of no file of this one."""
    sending = Sending([shipment(size=5)], after=10)
    orders = handed_out(sending)
    assert [order.ticket for order in orders] == [11, 12, 13]
    for ticket in (3, 10):
        assert sending.acknowledged(ticket, P0, 99) == []
        assert sending.failed(ticket, "no answer", overdue=True) == []
    assert (sending.unacknowledged, sending.acknowledged_bytes) == (3, 0)
    for order in orders:
        last = sending.acknowledged(order.ticket, P0, order.index)
    assert [each.parting for each in last] == [SENT]
    assert sending.last_ticket == 13


# Order


def test_data_goes_in_the_given_order() -> None:
    """File by file, whoever they are for; several are under way at once."""
    files = [
        shipment("b.rpz", 3, hostname="ns2"),
        shipment("a.rpz", 3),
        shipment("a.rpz", 0, hostname="ns2"),
        shipment("c.rpz", 1),
    ]
    orders = handed_out(Sending(files))
    assert [order.shipment for order in orders] == [files[0]] * 2 + [files[1]] * 2 + files[2:]


def test_configurations_follow_all_data_of_their_host() -> None:
    """Wherever they stand among the shipments: one unacknowledged chunk keeps them back."""
    sending = Sending([shipment("a.yaml"), shipment("a.rpz", 3), shipment("b.rpz")])
    first, second, other = handed_out(sending)
    assert names([first, second, other]) == ["a.rpz", "a.rpz", "b.rpz"]
    sending.acknowledged(other.ticket)
    sending.acknowledged(second.ticket)
    assert sending.next() is None
    assert told(sending.acknowledged(first.ticket)) == ["a.rpz to ns1: sent"]
    [last] = handed_out(sending)
    assert told(sending.acknowledged(last.ticket)) == ["a.yaml to ns1: sent"]
    assert sending.finished


def test_a_host_does_not_wait_for_the_data_of_another() -> None:
    """Nothing of ns1 is acknowledged: ns2, and ns3 without data, get their configurations."""
    sending = Sending(
        [
            shipment("c.yaml", hostname="ns3"),
            shipment("b.yaml", hostname="ns2"),
            shipment("b.rpz", hostname="ns2"),
            shipment("a.yaml"),
            shipment("a.rpz"),
        ]
    )
    orders = {order.shipment.name: order for order in handed_out(sending)}
    assert set(orders) == {"b.rpz", "a.rpz", "c.yaml"}
    sending.acknowledged(orders["b.rpz"].ticket)
    assert names(handed_out(sending)) == ["b.yaml"]


def test_configurations_of_a_host_go_in_the_given_order() -> None:
    """And do not wait for each other."""
    sending = Sending([shipment("b.yaml", 3), shipment("a.rpz"), shipment("a.yaml")])
    [data] = handed_out(sending)
    sending.acknowledged(data.ticket)
    assert names(handed_out(sending)) == ["b.yaml", "b.yaml", "a.yaml"]


# Failures


@pytest.mark.parametrize("lost", [False, True], ids=["rest-acknowledged", "rest-lost"])
@pytest.mark.parametrize(
    ("size", "index", "detail"),
    [
        (5, 0, "chunk 1 of 3: timed out"),
        (5, 1, "chunk 2 of 3: timed out"),
        (5, 2, "chunk 3 of 3: timed out"),
        (2, 0, "timed out"),
        (0, 0, "timed out"),
    ],
)
def test_a_record_that_is_not_acknowledged_ends_its_file(
    size: int, index: int, detail: str, lost: bool
) -> None:
    """The chunk is named as on the wire; of what else was under way nothing more is said."""
    sending = Sending([shipment(size=size)])
    orders = handed_out(sending)
    [ended] = sending.failed(orders.pop(index).ticket, "timed out")
    assert (ended.parting, ended.detail) == (FAILED, detail)
    assert sending.finished
    for order in orders:
        late = sending.failed(order.ticket, "late") if lost else sending.acknowledged(order.ticket)
        assert late == []
    assert sending.unacknowledged == 0


def test_of_a_file_that_failed_nothing_more_is_handed_out() -> None:
    """The next file goes on at once."""
    sending = Sending([shipment("a.rpz", 9), shipment("b.rpz")], window_records=2)
    first, second = handed_out(sending)
    sending.failed(first.ticket, "timed out")
    assert names(handed_out(sending)) == ["b.rpz"]
    assert sending.acknowledged(second.ticket) == []
    assert handed_out(sending) == []


def test_several_files_that_failed_are_passed_over() -> None:
    """Both failed while the window was full; the third is next."""
    files = [shipment("a.rpz", 2), shipment("b.rpz", 9), shipment("c.rpz")]
    sending = Sending(files, window_records=2)
    first, second = handed_out(sending)
    assert names([first, second]) == ["a.rpz", "b.rpz"]
    sending.failed(second.ticket, "timed out")
    sending.failed(first.ticket, "timed out")
    assert names(handed_out(sending)) == ["c.rpz"]


def test_without_all_its_data_a_host_gets_no_configuration() -> None:
    """It is told when the last data file has an end; it names the first that was lost."""
    sending = Sending(
        [
            *(shipment(name) for name in ("a.rpz", "b.rpz", "c.rpz", "a.yaml", "b.yaml")),
            shipment("a.rpz", hostname="ns2"),
            shipment("a.yaml", hostname="ns2"),
        ]
    )
    a, b, c, other = handed_out(sending)
    assert told(sending.failed(b.ticket, "timed out")) == ["b.rpz to ns1: failed: timed out"]
    assert told(sending.failed(a.ticket, "timed out")) == ["a.rpz to ns1: failed: timed out"]
    assert told(sending.acknowledged(c.ticket)) == [
        "c.rpz to ns1: sent",
        "a.yaml to ns1: withheld: b.rpz was not sent",
        "b.yaml to ns1: withheld: b.rpz was not sent",
    ]
    assert handed_out(sending) == []
    assert told(sending.acknowledged(other.ticket)) == ["a.rpz to ns2: sent"]
    [order] = handed_out(sending)
    assert str(order.shipment) == "a.yaml to ns2"


def test_the_last_data_file_may_be_the_one_that_fails() -> None:
    """Its end and those of the configurations come together, its own first."""
    sending = Sending([shipment("a.yaml"), shipment("a.rpz"), shipment("b.rpz")])
    a, b = handed_out(sending)
    sending.acknowledged(a.ticket)
    assert told(sending.failed(b.ticket, "timed out")) == [
        "b.rpz to ns1: failed: timed out",
        "a.yaml to ns1: withheld: b.rpz was not sent",
    ]
    assert sending.finished


def test_a_configuration_that_fails_keeps_nothing_back() -> None:
    """Nothing waits for it."""
    sending = Sending([shipment("a.yaml"), shipment("b.yaml", 9)], window_records=1)
    [first] = handed_out(sending)
    assert told(sending.failed(first.ticket, "refused")) == ["a.yaml to ns1: failed: refused"]
    assert names(handed_out(sending)) == ["b.yaml"]


# A topic that is another one suddenly


def test_an_offset_that_falls_fails_what_was_begun() -> None:
    """The first chunks are in a log that nobody reads any more; what was not begun is sent."""
    sending = Sending([shipment("a.rpz", 5), shipment("b.rpz", 3)], window_records=2)
    first, second = handed_out(sending)
    assert sending.acknowledged(first.ticket, P0, 7) == []
    assert told(sending.acknowledged(second.ticket, P0, 0)) == [f"a.rpz to ns1: failed: {_ANEW}"]
    assert names(orders := handed_out(sending)) == ["b.rpz", "b.rpz"]
    assert sending.acknowledged(orders[0].ticket, P0, 1) == []
    assert told(sending.acknowledged(orders[1].ticket, P0, 2)) == ["b.rpz to ns1: sent"]


@pytest.mark.parametrize("offset", [3, 2, 0])
def test_no_two_records_have_one_offset(offset: int) -> None:
    """The same one again is another log as well."""
    sending = Sending([shipment(size=5)])
    first, second, _ = handed_out(sending)
    sending.acknowledged(first.ticket, P0, 3)
    assert [each.parting for each in sending.acknowledged(second.ticket, P0, offset)] == [FAILED]


def test_what_is_under_way_only_fails_too() -> None:
    """Into which of the two logs it goes nobody knows."""
    sending = Sending([shipment("a.rpz", 3), shipment("b.rpz")])
    first, second, _ = handed_out(sending)
    sending.acknowledged(first.ticket, P0, 1)
    ended = sending.acknowledged(second.ticket, P0, 0)
    assert [(each.shipment.name, each.parting) for each in ended] == [
        ("a.rpz", FAILED),
        ("b.rpz", FAILED),
    ]


def test_offsets_of_other_partitions_and_unknown_ones_say_nothing() -> None:
    """Each partition counts for itself; -1 is what a driver says that does not know."""
    sending = Sending([shipment(size=9)])
    orders = handed_out(sending)
    for order, source, offset in zip(orders, [P0, P1, P0, None, P1], [7, 0, -1, 3, 1], strict=True):
        last = sending.acknowledged(order.ticket, source, offset)
    assert [each.parting for each in last] == [SENT]


def test_late_answers_from_the_old_topic_do_no_harm() -> None:
    """They come from another partition, and what is sent after the loss begins at 0 there."""
    sending = Sending([shipment("a.rpz", 5), shipment("b.rpz", 1)], window_records=3)
    first, second, third = handed_out(sending)
    sending.acknowledged(first.ticket, P0, 50)
    assert sending.acknowledged(second.ticket, P0, 0)
    assert sending.acknowledged(third.ticket, P1, 99) == []
    (order,) = handed_out(sending)
    assert told(sending.acknowledged(order.ticket, P1, 0)) == ["b.rpz to ns1: sent"]


@pytest.mark.parametrize("how", ["an offset falls", "the producer tells"])
def test_a_host_whose_data_is_lost_gets_no_configuration(how: str) -> None:
    """That `sent` was said of it cannot be taken back; so at least this is told."""
    sending = Sending(
        [
            shipment("a.rpz"),
            shipment("a.yaml", 3),
            shipment("b.rpz", hostname="ns2"),
            shipment("b.yaml", hostname="ns2"),
        ],
        window_records=1,
    )
    (first,) = handed_out(sending)
    assert told(sending.acknowledged(first.ticket, P0, 5)) == ["a.rpz to ns1: sent"]
    (second,) = handed_out(sending)
    lost = f"a.yaml to ns1: withheld: {_ANEW}"
    if how == "the producer tells":
        assert told(sending.topic_lost(_ANEW)) == [
            f"b.rpz to ns2: failed: {_ANEW}",
            "b.yaml to ns2: withheld: b.rpz was not sent",
            lost,
        ]
    else:
        assert told(sending.acknowledged(second.ticket, P0, 0)) == [
            f"b.rpz to ns2: failed: {_ANEW}",
            "b.yaml to ns2: withheld: b.rpz was not sent",
            lost,
        ]
    assert sending.finished


def test_data_that_is_left_is_sent_but_no_configuration_behind_it() -> None:
    """Part of what it names is lost."""
    sending = Sending([shipment("a.rpz"), shipment("b.rpz"), shipment("a.yaml")], window_records=1)
    (first,) = handed_out(sending)
    sending.acknowledged(first.ticket, P0, 5)
    assert sending.topic_lost(_ANEW) == []
    (second,) = handed_out(sending)
    assert told(sending.acknowledged(second.ticket, P0, 0)) == [
        "b.rpz to ns1: sent",
        f"a.yaml to ns1: withheld: {_ANEW}",
    ]


def test_a_configuration_that_was_begun_fails() -> None:
    """And a host without data in the old topic is not concerned."""
    sending = Sending([shipment("a.yaml", 3), shipment("b.yaml", hostname="ns2")], window_records=1)
    (first,) = handed_out(sending)
    sending.acknowledged(first.ticket, P0, 5)
    assert told(sending.topic_lost(_ANEW)) == [f"a.yaml to ns1: failed: {_ANEW}"]
    assert names(handed_out(sending)) == ["b.yaml"]


# Nobody answers


def test_when_nothing_is_acknowledged_for_the_whole_of_its_time_all_that_is_left_fails() -> None:
    """Each further record would wait as long; configurations fail for their own reason."""
    sending = Sending(
        [
            shipment("a.rpz", 3),
            shipment("a.yaml"),
            shipment("b.rpz", 9, hostname="ns2"),
            shipment("c.rpz", hostname="ns3"),
            shipment("c.yaml", hostname="ns3"),
            shipment("d.yaml", hostname="ns4"),
        ],
        window_records=2,
    )
    first, second = handed_out(sending)
    ended = told(sending.failed(second.ticket, "no answer", overdue=True))
    assert ended == [
        "a.rpz to ns1: failed: chunk 2 of 2: no answer",
        "a.yaml to ns1: withheld: a.rpz was not sent",
        "b.rpz to ns2: failed: no answer",
        "c.rpz to ns3: failed: no answer",
        "c.yaml to ns3: withheld: c.rpz was not sent",
        "d.yaml to ns4: failed: no answer",
    ]
    assert sending.finished
    assert sending.failed(first.ticket, "no answer", overdue=True) == []


@pytest.mark.parametrize("overdue", [False, True])
def test_while_others_are_acknowledged_one_that_is_not_ends_its_file_only(overdue: bool) -> None:
    """So it does when the broker refuses it."""
    sending = Sending([shipment("a.rpz"), shipment("b.rpz"), shipment("c.rpz")], window_records=2)
    first, second = handed_out(sending)
    if overdue:
        sending.acknowledged(second.ticket)
    ended = sending.failed(first.ticket, "timed out", overdue=overdue)
    assert told(ended) == ["a.rpz to ns1: failed: timed out"]
    assert names(handed_out(sending)) == ["c.rpz"]


# The window


def test_records_are_bounded() -> None:
    """Each that is settled, one way or the other, lets one go; an empty one counts as well."""
    files = [shipment(f"{number}.rpz", number % 2) for number in range(5)]
    sending = Sending(files, window_records=2)
    first, second = handed_out(sending)
    sending.acknowledged(second.ticket)
    assert names(handed_out(sending)) == ["2.rpz"]
    sending.failed(first.ticket, "timed out")
    assert names(handed_out(sending)) == ["3.rpz"]


def test_bytes_are_bounded() -> None:
    """The window may be filled exactly; the chunk that does not fit waits for its bytes."""
    sending = Sending([shipment(size=9)], window_bytes=4)
    first, second = handed_out(sending)
    sending.acknowledged(first.ticket)
    [third] = handed_out(sending)
    assert sending.failed(second.ticket, "timed out")
    assert handed_out(sending) == []
    assert sending.acknowledged(third.ticket) == []


def test_a_short_chunk_gives_back_what_it_took() -> None:
    """One byte, though the others of its file would have two."""
    files = [shipment(f"{number}.rpz", size) for number, size in enumerate([1, 2, 2, 1])]
    sending = Sending(files, window_bytes=4)
    first, _second = handed_out(sending)
    sending.acknowledged(first.ticket)
    assert names(handed_out(sending)) == ["2.rpz"]


def test_a_chunk_that_fits_exactly_is_not_kept_back() -> None:
    """One byte less of window, and it is."""
    files = [shipment("a.rpz", 2), shipment("b.rpz", 1)]
    assert names(handed_out(Sending(files, window_bytes=3))) == ["a.rpz", "b.rpz"]
    assert names(handed_out(Sending(files, window_bytes=2))) == ["a.rpz"]


def test_a_chunk_that_is_larger_than_the_window_goes_alone() -> None:
    """It would wait for ever otherwise; not even an empty one goes beside it."""
    sending = Sending(
        [shipment("a.rpz", 0), shipment("b.rpz", 9, chunk_bytes=9), shipment("c.rpz", 0)],
        window_bytes=4,
    )
    seen = []
    while not sending.finished:
        [order] = handed_out(sending)
        seen.append(order.shipment.name)
        sending.acknowledged(order.ticket)
    assert seen == ["a.rpz", "b.rpz", "c.rpz"]


def test_by_default_the_window_is_32_mebibytes_and_10000_records() -> None:
    """Whichever is reached first."""
    size = DEFAULT_CHUNK_BYTES * 100
    large = handed_out(Sending([shipment(size=size, chunk_bytes=DEFAULT_CHUNK_BYTES)]))
    assert sum(order.stop - order.start for order in large) == 32 * 1024 * 1024
    assert len(handed_out(Sending([shipment(size=20_000, chunk_bytes=1)]))) == 10_000


# To stop


def test_when_it_is_cancelled_each_file_says_how_far_it_came() -> None:
    """All under way, partly under way, not begun, waiting for its data."""
    sending = Sending(
        [
            shipment("a.yaml"),
            shipment("a.rpz", 1),
            shipment("b.rpz", 3),
            shipment("c.rpz", 5),
            shipment("d.rpz", 0),
        ],
        window_records=4,
    )
    tickets = [order.ticket for order in handed_out(sending)]
    assert told(sending.acknowledged(tickets[0])) == ["a.rpz to ns1: sent"]
    cancelled = "ns1: cancelled"
    assert sorted(told(sending.cancel())) == [
        f"a.yaml to {cancelled}: nothing of it was sent",
        f"b.rpz to {cancelled}: all of it was under way: it may have arrived",
        f"c.rpz to {cancelled}: chunk 2 of 3 was not sent: it cannot become whole",
        f"d.rpz to {cancelled}: nothing of it was sent",
    ]
    assert sending.finished
    assert sending.next() is None


def test_what_was_under_way_may_still_be_settled_after_that() -> None:
    """It counts, but nothing ends again, and no configuration follows."""
    sending = Sending([shipment("a.rpz"), shipment("b.rpz"), shipment("a.yaml")])
    first, second = handed_out(sending)
    assert len(sending.cancel()) == 3
    assert sending.cancel() == []
    assert sending.unacknowledged == 2
    assert sending.acknowledged(first.ticket) == []
    assert sending.failed(second.ticket, "closed") == []
    assert (sending.unacknowledged, sending.acknowledged_bytes) == (0, 1)
    assert sending.next() is None


# Words


def test_a_shipment_names_file_and_host() -> None:
    """As an operator knows them."""
    assert str(shipment("b/c.rpz", hostname="ns2.example")) == "b/c.rpz to ns2.example"


@pytest.mark.parametrize(
    ("parting", "detail", "words"),
    [
        (SENT, "", "a.rpz to ns1: sent"),
        (FAILED, "timed out", "a.rpz to ns1: failed: timed out"),
        (WITHHELD, "b.rpz was not sent", "a.rpz to ns1: withheld: b.rpz was not sent"),
        (CANCELLED, "", "a.rpz to ns1: cancelled"),
    ],
)
def test_an_end_says_what_and_how_and_why(parting: Parting, detail: str, words: str) -> None:
    """The reason only if there is one."""
    assert str(ShipmentEnded(shipment=shipment(), parting=parting, detail=detail)) == words


# Any weather


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
            self.check_ends(self.sending.topic_lost(_ANEW), self.lose())

    def check_ends(self, ended: list[ShipmentEnded], expected: dict[str, Parting]) -> None:
        """Just those ended, each once, and the cause before what follows from it."""
        found = [(each.shipment.name, each.parting) for each in ended]
        order = [name for name, _ in found]
        for each in ended:
            if each.parting is WITHHELD and each.detail != _ANEW:
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
                } | ({_ANEW} if each.shipment.hostname in self.bereft else set())

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


def test_what_cannot_be_sent_cannot_be_made() -> None:
    """Nothing behind it checks again."""
    for size, chunk_bytes in ((-1, 2), (1, 0)):
        with pytest.raises(ValueError, match="bytes in chunks of"):
            Shipment(
                hostname="ns1",
                name="a.rpz",
                kind=Kind.DATA,
                size=size,
                chunk_bytes=chunk_bytes,
                claims=Claims(),
            )
    with pytest.raises(ValueError, match="at least one record"):
        Sending([], window_records=0)


def test_data_without_a_name_is_lost_like_any_other() -> None:
    """Whatever it is called."""
    sending = Sending([shipment(""), shipment("r.yaml")])
    (first,) = handed_out(sending)
    ended = sending.failed(first.ticket, "refused")
    assert [each.parting for each in ended] == [FAILED, WITHHELD]
