"""Every record is asked, before it is built, whether it is ours; doubt means yes."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filesync._matching import HOSTNAME_HEADER, by_hostname, by_key, comparable
from filesync._model import Headers
from strategies import headers

NAME = ("files-name", b"a.rpz")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (b"ns1.example", b"ns1.example", True),
        (b"NS1.Example", b"ns1.eXAMPLE", True),
        (b"ns1.example.", b"ns1.example", True),
        (b"ns1.example", b"NS1.example.", True),
        (b"ns1.example..", b"ns1.example", False),
        (b".ns1", b"ns1", False),
        (b"ns1", b"ns1.example", False),
        (b"ns1 ", b"ns1", False),
        (b"", b".", True),
        ("É".encode(), "é".encode(), False),
        (b"\xff", b"\xff", True),
    ],
)
def test_ascii_case_and_a_trailing_dot_do_not_count(left: bytes, right: bytes, same: bool) -> None:
    """Host names are compared as DNS does."""
    assert (comparable(left) == comparable(right)) is same


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        pytest.param([("hostname", b"ns1"), NAME], True, id="ours"),
        pytest.param([NAME, ("hostname", b"NS1.")], True, id="ours-in-another-spelling"),
        pytest.param([("hostname", b"ns2"), NAME], False, id="of-another-host"),
        pytest.param([("hostname", b""), NAME], False, id="of-no-host"),
        pytest.param([("hostname", b"ns1.example"), NAME], False, id="of-a-longer-host"),
        pytest.param([NAME], True, id="no-hostname"),
        pytest.param([], True, id="no-headers"),
        pytest.param([("Hostname", b"ns2")], True, id="hostname-in-capitals-is-none"),
        pytest.param([("hostname", None)], True, id="a-null-hostname"),
        pytest.param([("hostname", b"ns2"), ("hostname", None)], True, id="one-null-hostname"),
        pytest.param([("hostname", b"ns2"), ("hostname", b"ns1")], True, id="one-of-two-is-ours"),
        pytest.param([("hostname", b"ns1"), ("hostname", b"ns2")], True, id="the-other-of-two"),
        pytest.param([("hostname", b"ns2"), ("hostname", b"ns3")], False, id="none-of-two-is-ours"),
        pytest.param([("hostname", b"\xffns2")], True, id="a-hostname-that-is-no-text"),
    ],
)
def test_whose_a_record_is_stands_in_its_hostname(headers: Headers, *, wanted: bool) -> None:
    """A record is passed over only when it surely is for others; asking twice changes nothing."""
    matcher = by_hostname("ns1")
    assert matcher(b"a.rpz", headers) is wanted
    assert matcher(None, headers) is wanted


@given(
    mine=st.sampled_from(["ns1", "NS2.", "", "é"]),
    asked=st.lists(
        headers()
        | st.lists(
            st.tuples(
                st.just(HOSTNAME_HEADER),
                st.none() | st.sampled_from([b"ns1", b"ns2", b"NS1.", b"", b".", b"\xff"]),
            )
        ),
        max_size=8,
    ),
)
def test_a_matcher_remembers_no_wrong_verdict(mine: str, asked: list[Headers]) -> None:
    """Whatever it was asked before, it says what its definition says."""
    matcher = by_hostname(mine)
    for one in asked + asked:
        addressees = [value for name, value in one if name == "hostname"]
        expected = not addressees
        for value in addressees:
            readable = value is not None and value == value.decode(errors="replace").encode()
            expected |= not readable
            expected |= value is not None and comparable(value) == comparable(mine.encode())
        assert matcher(None, one) is expected


def test_a_fleet_larger_than_the_memory_is_no_trouble() -> None:
    """More hosts than are remembered are still told apart."""
    matcher = by_hostname("ns1")
    for number in range(10_000):
        assert not matcher(None, [("hostname", b"ns1-%d" % number)])
    assert matcher(None, [("hostname", b"ns1")])
    assert not matcher(None, [("hostname", b"ns1-0")])


@pytest.mark.parametrize(
    ("size", "number"), [(250, 10_000), (50_000, 1_000)], ids=["many", "endless"]
)
def test_hosts_that_do_not_exist_take_no_memory(size: int, number: int) -> None:
    """Whatever stands in the hostname headers of others, little of it is kept."""
    matcher = by_hostname("ns1")
    tracemalloc.start()
    try:
        for count in range(number):
            matcher(None, [("hostname", b"%0*d" % (size, count))])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2_000_000


@pytest.mark.parametrize(
    ("key", "wanted"),
    [(b"zone-1", True), (b"zone-2", False), (b"ZONE-1", False), (b"", False), (None, False)],
)
def test_routing_by_key_is_exact(key: bytes | None, *, wanted: bool) -> None:
    """The zone id is the key, byte by byte; the hostname does not matter."""
    matcher = by_key("zone-1")
    assert matcher(key, [("hostname", b"ns2")]) is wanted
    assert matcher(key, []) is wanted


def test_the_key_is_compared_as_utf8() -> None:
    """A zone id beyond ASCII is what a sender's UTF-8 says."""
    assert by_key("é")("é".encode(), [])


def test_the_hostname_is_compared_as_utf8() -> None:
    """A host name beyond ASCII is what a sender's UTF-8 says."""
    assert by_hostname("é")(None, [("hostname", "é".encode())])
    assert not by_hostname("é")(None, [("hostname", "É".encode())])
