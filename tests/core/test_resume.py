"""Where a partition is read from, and what the operator is told of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filesync._model import TopicPartition
from filesync._outcomes import FaultSeen
from filesync._resume import Resumed, resume

P0 = TopicPartition("files", 0)


@pytest.mark.parametrize("latest", [False, True])
@pytest.mark.parametrize("position", [100, 150, 200], ids=["at-start", "inside", "at-end"])
def test_a_position_inside_the_log_is_trusted(position: int, *, latest: bool) -> None:
    """Both ends included, whatever an unknown position would mean: it was saved as a safe one."""
    resumed = resume(P0, position, start=100, end=200, latest=latest)
    assert resumed == Resumed(position=position, boundary=True)


@pytest.mark.parametrize(("latest", "position"), [(False, 100), (True, 200)])
def test_an_unknown_position_is_the_start_or_the_end(position: int, *, latest: bool) -> None:
    """As the settings say; that is nothing to worry about."""
    resumed = resume(P0, None, start=100, end=200, latest=latest)
    assert resumed == Resumed(position=position, boundary=False)


@pytest.mark.parametrize("latest", [False, True])
def test_removed_records_are_told(*, latest: bool) -> None:
    """S9: reading goes on at the log's start, never at its end, and what was lost is said."""
    assert resume(P0, 60, start=100, end=200, latest=latest) == Resumed(
        position=100,
        boundary=False,
        told=FaultSeen(
            label="log_gap",
            detail="40 records of files[0], from offset 60, were removed before they were read; "
            "files sent in them must be sent again",
        ),
    )


@pytest.mark.parametrize("latest", [False, True])
def test_a_log_that_was_cut_is_read_again(*, latest: bool) -> None:
    """A position beyond the end: nothing that was known of the order of the log counts."""
    assert resume(P0, 201, start=100, end=200, latest=latest) == Resumed(
        position=100,
        boundary=False,
        cut=True,
        told=FaultSeen(
            label="log_truncated",
            detail="files[0] ends at offset 200, before the position 201: "
            "the log was cut, and is read from its start again",
        ),
    )


def test_position_0_is_a_position() -> None:
    """The first offset of all is not mistaken for none."""
    resumed = resume(P0, 0, start=0, end=200, latest=True)
    assert resumed == Resumed(position=0, boundary=True)


@pytest.mark.parametrize(("position", "end"), [(None, 200), (None, 0), (201, 200)])
def test_the_very_first_offset_cuts_no_transfer_in_two(position: int | None, end: int) -> None:
    """Nothing can have come before it, whether the log is new, unknown or cut."""
    resumed = resume(P0, position, start=0, end=end, latest=False)
    assert (resumed.position, resumed.boundary) == (0, True)


def test_the_end_of_a_log_may_cut_a_transfer_in_two() -> None:
    """What follows there may belong to what came before; not so in a log that is empty."""
    assert not resume(P0, None, start=0, end=200, latest=True).boundary
    assert resume(P0, None, start=0, end=0, latest=True).boundary


@given(
    position=st.none() | st.integers(0, 50),
    start=st.integers(0, 50),
    length=st.integers(0, 50),
    latest=st.booleans(),
)
def test_reading_goes_on_inside_the_log(
    position: int | None, start: int, length: int, *, latest: bool
) -> None:
    """Wherever a position was, records that can be read are read, and every jump is told."""
    end = start + length
    resumed = resume(P0, position, start=start, end=end, latest=latest)
    assert start <= resumed.position <= end
    if position is not None:
        assert resumed.position in {position, start}
        assert (resumed.told is None) == (resumed.position == position)
        assert resumed.cut == (position > end)
    assert resumed.boundary == (resumed.position in {0, position})
