"""Values: which of two origins is newer, keys, claims and partitions."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from filesync._model import Claims, Origin, TopicPartition, TransferKey
from strategies import SOURCES, origins
from strategies import claims as any_claims
from support.desk import D1, D2

P0, P1 = TopicPartition("files", 0), TopicPartition("files", 1)


@pytest.mark.parametrize(
    ("mine", "theirs", "age"),
    [
        pytest.param({"offset": 1}, {"offset": 2}, -1, id="earlier-in-one-partition"),
        pytest.param({"offset": 2}, {"offset": 1}, 1, id="later-in-one-partition"),
        pytest.param({"offset": 2}, {"offset": 2}, 0, id="the-same-record"),
        pytest.param(
            {"offset": 1, "timestamp": 9.0},
            {"offset": 2, "timestamp": 3.0},
            -1,
            id="in-one-partition-times-do-not-count",
        ),
        pytest.param(
            {"offset": 1, "generation": 5}, {"offset": 2, "generation": 4}, 1, id="generation"
        ),
        pytest.param(
            {"offset": 1, "generation": 0}, {"offset": 2, "generation": 0}, -1, id="one-generation"
        ),
        pytest.param(
            {"offset": 1, "generation": 5}, {"offset": 2}, -1, id="only-one-has-a-generation"
        ),
        pytest.param(
            {"source": P1, "offset": 9, "timestamp": 1.0},
            {"offset": 1, "timestamp": 2.0},
            -1,
            id="earlier-in-time",
        ),
        pytest.param(
            {"source": P1, "offset": 1, "timestamp": 2.0},
            {"offset": 9, "timestamp": 1.0},
            1,
            id="later-in-time",
        ),
        pytest.param(
            {"source": P1, "offset": 1, "timestamp": 0.0},
            {"offset": 9, "timestamp": 1.0},
            -1,
            id="at-the-beginning-of-time",
        ),
        pytest.param(
            {"source": P1, "offset": 1, "timestamp": 1.0},
            {"offset": 9, "timestamp": 1.0},
            None,
            id="at-one-time",
        ),
        pytest.param(
            {"source": P1, "offset": 1},
            {"offset": 9, "timestamp": 1.0},
            None,
            id="one-has-no-time",
        ),
        pytest.param({"source": P1, "offset": 1}, {"offset": 9}, None, id="no-time-known"),
        pytest.param(
            {"source": P1, "offset": 1, "timestamp": 2.0, "generation": 1},
            {"offset": 1, "timestamp": 1.0, "generation": 2},
            -1,
            id="generation-across-partitions",
        ),
        pytest.param(
            {"source": P1, "offset": 1, "timestamp": 2.0, "generation": 2},
            {"offset": 1, "timestamp": 1.0, "generation": 2},
            1,
            id="one-generation-across-partitions",
        ),
        pytest.param(
            {"offset": 1, "generation": 10**20 - 1},
            {"offset": 2, "generation": 10**20 - 2},
            1,
            id="generations-that-a-float-cannot-tell-apart",
        ),
    ],
)
def test_which_of_two_is_newer(
    mine: dict[str, Any], theirs: dict[str, Any], age: int | None
) -> None:
    """S15: two generations decide; else the place in one partition; else the time."""
    here = Origin(source=P0, offset=0)
    assert evolve(here, **mine).age_against(evolve(here, **theirs)) == age


@given(left=origins(), right=origins())
def test_what_is_newer_makes_the_other_one_older(left: Origin, right: Origin) -> None:
    """The answer does not depend on who is asked, and nothing is newer than itself."""
    there, back = left.age_against(right), right.age_against(left)
    assert (there is None) == (back is None)
    assert (there or 0) == -(back or 0)
    assert left.age_against(left) == 0


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        ({"transfer_id": ""}, "a transfer id has 1 to 256 bytes"),
        ({"transfer_id": "\u00e9" * 128 + "t"}, "a transfer id has 1 to 256 bytes"),
        ({"size": -1}, "a file of -1 bytes cannot be announced"),
        ({"size": 10**10}, "a file of 10000000000 bytes cannot be announced"),
        ({"digest": b"x"}, "a SHA-256 digest has 32 bytes, not 1"),
        ({"generation": -1}, "a generation of -1 cannot be announced"),
        ({"generation": 10**20}, f"a generation of {10**20} cannot be announced"),
    ],
)
def test_a_claim_that_no_header_can_say_cannot_be_built(claim: dict[str, Any], told: str) -> None:
    """A sender learns of it before anything is sent."""
    with pytest.raises(ValueError, match=f"^{told}$"):
        Claims(**claim)


@pytest.mark.parametrize(
    "claim",
    [
        {"transfer_id": "t"},
        {"transfer_id": "\u00e9" * 128},
        {"size": 0},
        {"size": 10**10 - 1},
        {"generation": 0},
        {"generation": 10**20 - 1},
    ],
)
def test_the_extremes_of_a_claim_can_be_built(claim: dict[str, Any]) -> None:
    """The smallest and the largest of each."""
    assert Claims(**claim) == evolve(Claims(), **claim)


def test_places_are_shown_shortly() -> None:
    """As messages and directories show them."""
    assert str(P1) == "files[1]"
    assert str(Origin(source=P1, offset=7, timestamp=1.5, generation=3)) == "files[1]@7"
    assert str(TransferKey(1, 7)) == "1-7-0"
    assert str(TransferKey(1, 7, 2)) == "1-7-2"


def test_partitions_are_ordered_by_topic_and_number() -> None:
    """So that what is told of them is told in one order."""
    assert sorted([SOURCES[2], SOURCES[0], SOURCES[1]]) == list(SOURCES)
    assert TopicPartition("files", 2) < TopicPartition("files", 10)


def few_claims() -> st.SearchStrategy[Claims]:
    """Draw claims that often agree."""
    return st.builds(
        Claims,
        transfer_id=st.sampled_from(["t1", "t1", "t1", "t2"]),
        size=st.sampled_from([5, 5, 5, 0, None]),
        digest=st.sampled_from([None, None, D1, D2]),
        generation=st.sampled_from([7, 7, 7, 0, None]),
    )


@given(any_claims() | few_claims())
def test_claims_joined_with_themselves_stay_as_they_are(said: Claims) -> None:
    """Nothing is lost, and a digest that is added is kept."""
    assert said.joined(said) == said
    without, added = evolve(said, digest=None), evolve(said, digest=D1)
    assert without.joined(added) == added.joined(without) == added


@given(few_claims(), few_claims())
def test_claims_are_joined_in_either_order(one: Claims, other: Claims) -> None:
    """If nothing but a digest is missing: together they say what both say, and no more."""
    joined = one.joined(other)
    assert joined == other.joined(one)
    digests = {one.digest, other.digest} - {None}
    agree = evolve(one, digest=None) == evolve(other, digest=None) and len(digests) < 2
    assert (joined is not None) is agree
    if joined is not None:
        assert joined == evolve(one, digest=next(iter(digests), None))
        assert joined.joined(one) == joined.joined(other) == joined
