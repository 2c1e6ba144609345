"""The closing line of CI counts everything, and lets no skip pass for a success."""

from __future__ import annotations

import pytest

from support.reports import summarize

PASSED = '<testcase name="good"/>'
FAILED = '<testcase name="bad"><failure message="no"/></testcase>'
BROKEN = '<testcase name="broken"><error message="no fixture"/></testcase>'
EXCUSED = (
    '<testcase name="other"><skipped message="this environment does not promise x"/></testcase>'
)
EXCUSED_MODULE = (
    '<testcase name="tests.other"><skipped message="collection skipped">'
    "('/tests/other.py', 17, 'Skipped: this environment does not promise x')</skipped></testcase>"
)
LAZY_MODULE = EXCUSED_MODULE.replace("this environment does not promise x", "no java")
NO_DRIVER = EXCUSED.replace("promise x", "promise kafka-python")
TOO_OLD = EXCUSED.replace("promise x", "promise x: its librdkafka is too old")
LAZY = '<testcase name="lazy"><skipped message="no java"/></testcase>'


def report(*tests: str) -> str:
    """Return a JUnit file as pytest writes it."""
    return f"<testsuites><testsuite>{''.join(tests)}</testsuite></testsuites>"


def test_all_runs_are_counted_together() -> None:
    """The last line sums over the environments."""
    summary, is_well = summarize({"py3.10": report(PASSED, PASSED), "kafka": report(PASSED)})

    assert summary.splitlines()[-1] == "3 passed, 0 failed"
    assert is_well


@pytest.mark.parametrize("bad", [FAILED, BROKEN])
def test_one_failure_is_enough(bad: str) -> None:
    """A failed test and a broken fixture count alike."""
    summary, is_well = summarize({"py3.10": report(PASSED), "none": report(PASSED, bad)})

    assert summary.splitlines()[-1] == "2 passed, 1 failed"
    assert not is_well


def test_nothing_run_is_no_success() -> None:
    """Without a single test that passed there is nothing to be glad about."""
    assert summarize({}) == (
        "environment   passed  failed skipped\n0 passed, 0 failed",
        False,
    )


@pytest.mark.parametrize(
    ("environment", "skipped", "well"),
    [
        ("none", EXCUSED, True),
        ("none", EXCUSED_MODULE, True),
        ("none", LAZY, False),
        ("none", LAZY_MODULE, False),
        ("kafka", EXCUSED, False),
        ("daemon", EXCUSED, False),
        ("both-py3.12", EXCUSED, True),
        ("both-py3.12", NO_DRIVER, False),
        ("quick", NO_DRIVER, False),
        ("confluent-py3.12", NO_DRIVER, True),
        ("none-py3.12", NO_DRIVER, True),
        ("oldest", TOO_OLD, True),
        ("oldest", NO_DRIVER, False),
        ("both-py3.12", TOO_OLD, False),
        ("kafka", EXCUSED_MODULE, False),
    ],
)
def test_only_what_was_not_promised_may_be_skipped(
    environment: str, skipped: str, *, well: bool
) -> None:
    """A part that is missing fails CI; the real broker's environment skips nothing."""
    assert summarize({environment: report(PASSED, skipped)})[1] is well
