"""What is sent next: order and window, one end for each file, and what is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filesync._model import Claims, Kind
from filesync._sending import Parting, Sending, Shipment, ShipmentEnded
from filesync._splitter import DEFAULT_CHUNK_BYTES, split
from filesync.exceptions import InvalidTransitionError
from support.pieces import P0
from support.shipments import CANCELLED, FAILED, SENT, WITHHELD, handed_out, names, shipment, told

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
