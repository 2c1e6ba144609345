"""Waiting ends when there is something to see, or says what was missed."""

from __future__ import annotations

import pytest

from support.waiting import eventually


def test_the_first_answer_is_returned() -> None:
    """The condition is asked until it has something to say."""
    answers = iter([None, 0, "ready", "late"])

    assert eventually(lambda: next(answers)) == "ready"


def test_a_wait_in_vain_says_for_what() -> None:
    """The message names what was awaited, for how long, and what was there instead."""
    with pytest.raises(AssertionError, match=r"not within 0\.02 s: two files; last seen: \[\]"):
        eventually(list, 0.02, what="two files")


def test_a_condition_that_fails_is_not_asked_again() -> None:
    """An error is no "not yet"."""
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: 1 / 0)
