"""What becomes of each file when records fail, the topic is lost, or nobody answers."""

from __future__ import annotations

import pytest

from filesync._sending import Sending
from support.pieces import P0, P1
from support.shipments import ANEW, FAILED, SENT, WITHHELD, handed_out, names, shipment, told

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


def test_data_without_a_name_is_lost_like_any_other() -> None:
    """Whatever it is called."""
    sending = Sending([shipment(""), shipment("r.yaml")])
    (first,) = handed_out(sending)
    ended = sending.failed(first.ticket, "refused")
    assert [each.parting for each in ended] == [FAILED, WITHHELD]


# A topic that is another one suddenly


def test_an_offset_that_falls_fails_what_was_begun() -> None:
    """The first chunks are in a log that nobody reads any more; what was not begun is sent."""
    sending = Sending([shipment("a.rpz", 5), shipment("b.rpz", 3)], window_records=2)
    first, second = handed_out(sending)
    assert sending.acknowledged(first.ticket, P0, 7) == []
    assert told(sending.acknowledged(second.ticket, P0, 0)) == [f"a.rpz to ns1: failed: {ANEW}"]
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
    lost = f"a.yaml to ns1: withheld: {ANEW}"
    if how == "the producer tells":
        assert told(sending.topic_lost(ANEW)) == [
            f"b.rpz to ns2: failed: {ANEW}",
            "b.yaml to ns2: withheld: b.rpz was not sent",
            lost,
        ]
    else:
        assert told(sending.acknowledged(second.ticket, P0, 0)) == [
            f"b.rpz to ns2: failed: {ANEW}",
            "b.yaml to ns2: withheld: b.rpz was not sent",
            lost,
        ]
    assert sending.finished


def test_data_that_is_left_is_sent_but_no_configuration_behind_it() -> None:
    """Part of what it names is lost."""
    sending = Sending([shipment("a.rpz"), shipment("b.rpz"), shipment("a.yaml")], window_records=1)
    (first,) = handed_out(sending)
    sending.acknowledged(first.ticket, P0, 5)
    assert sending.topic_lost(ANEW) == []
    (second,) = handed_out(sending)
    assert told(sending.acknowledged(second.ticket, P0, 0)) == [
        "b.rpz to ns1: sent",
        f"a.yaml to ns1: withheld: {ANEW}",
    ]


def test_a_configuration_that_was_begun_fails() -> None:
    """And a host without data in the old topic is not concerned."""
    sending = Sending([shipment("a.yaml", 3), shipment("b.yaml", hostname="ns2")], window_records=1)
    (first,) = handed_out(sending)
    sending.acknowledged(first.ticket, P0, 5)
    assert told(sending.topic_lost(ANEW)) == [f"a.yaml to ns1: failed: {ANEW}"]
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
