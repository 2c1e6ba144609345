"""Outcomes in the log: every one that matters, on one line, and never a flood."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filesync import (
    ActionEnded,
    CaughtUp,
    Ending,
    FaultSeen,
    HealthChanged,
    Origin,
    Outcome,
    RecordRefused,
    TransferEnded,
)
from filesync.daemon import ActionKind, Assumed, Refused
from filesync.runtime._logs import LogfmtFormatter, configure_logging
from filesync.runtime._telling import Teller
from filesync.testing import ManualClock
from support.disk import P0

_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^" ]+)(?: |$)')


@pytest.fixture(name="log")
def _log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="filesync")
    return caplog


@pytest.fixture(name="root_logger")
def _root_logger() -> Iterator[logging.Logger]:
    """Give the logging of this process back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # What pytest listens with would be closed.
    root.handlers[:] = []
    yield root
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def ended(ending: Ending, name: str = "b/a.rpz") -> TransferEnded:
    """Return the outcome of a transfer."""
    origin = Origin(source=P0, offset=7)
    return TransferEnded(ending=ending, name=name, origin=origin, detail="why", size=3)


def refused(offset: int = 0, ending: Ending = Ending.MALFORMED) -> RecordRefused:
    """Return the outcome of a record that could not be used."""
    return RecordRefused(ending=ending, source=P0, offset=offset, detail="no file name")


def fields(line: str) -> dict[str, str]:
    """Read a line of logfmt."""
    found = _FIELD.findall(line)
    assert "".join(f"{key}={value} " for key, value in found).rstrip() == line
    return {key: json.loads(value) if value[0] == '"' else value for key, value in found}


# Which outcomes are logged


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        (ended(Ending.COMMITTED), logging.INFO),
        (ended(Ending.UNCHANGED), logging.INFO),
        (ended(Ending.INVALID), logging.WARNING),
        (CaughtUp(files=3), logging.INFO),
        (HealthChanged(up=True, detail="connected"), logging.INFO),
        (HealthChanged(up=False, detail="refused"), logging.WARNING),
        (FaultSeen(label="unreadable", detail="x"), logging.WARNING),
        (ActionEnded(action=ActionKind.RENEW, result=Assumed("y"), files=("a",)), logging.INFO),
        (ActionEnded(action=ActionKind.RELOAD, result=Refused("n"), files=()), logging.WARNING),
        (refused(), logging.WARNING),
        (refused(ending=Ending.LATE_DUPLICATE), logging.DEBUG),
    ],
    ids=lambda value: getattr(value, "label", None),
)
def test_what_needs_a_look_is_a_warning(
    log: pytest.LogCaptureFixture, outcome: Outcome, level: int
) -> None:
    """One record of the logger ``filesync``, which carries the outcome itself."""
    Teller()(outcome)
    (record,) = log.records
    assert (record.name, record.levelno) == ("filesync", level)
    assert record.getMessage() == f"{outcome.label}: {outcome}"
    assert vars(record)["filesync"] is outcome


def test_how_many_were_not_logged_is_told_by_whatever_comes_next(
    log: pytest.LogCaptureFixture,
) -> None:
    """The flood may be the last of its kind."""
    clock = ManualClock(1000)
    tell = Teller(clock)
    for offset in range(25):
        tell(refused(offset))
    clock.advance(61)
    tell(ended(Ending.COMMITTED))
    messages = [record.getMessage() for record in log.records[10:]]
    assert messages[0] == "malformed: 15 more such record(s) in the last 61 s"
    assert len(messages) == 2
    tell(refused(25))
    assert len(log.records) == 13, "a new window"


def test_refused_records_are_few_in_the_log(log: pytest.LogCaptureFixture) -> None:
    """Of each label ten lines a minute, and then how many more there were."""
    clock = ManualClock(1000)
    tell = Teller(clock)
    for offset in range(1000):
        tell(refused(offset))
        clock.advance(0.001)
    assert len(log.records) == 10
    assert vars(log.records[9])["filesync"].offset == 9
    clock.advance(59.5)
    tell(refused(1000))
    assert [record.getMessage() for record in log.records[10:]] == [
        "malformed: 990 more such record(s) in the last 60 s",
        f"malformed: {refused(1000)}",
    ]
    assert log.records[10].levelno == logging.WARNING


def test_labels_do_not_silence_each_other(log: pytest.LogCaptureFixture) -> None:
    """A flood of one kind hides no other, and no outcome that is not a record's."""
    tell = Teller(ManualClock())
    for offset in range(100):
        tell(refused(offset))
    tell(refused(ending=Ending.REFUSED_NAME))
    for _ in range(20):
        tell(ended(Ending.INVALID))
    labels = [vars(record)["filesync"].label for record in log.records]
    assert labels == ["malformed"] * 10 + ["refused_name"] + ["invalid"] * 20


def test_a_quiet_minute_has_no_closing_line(log: pytest.LogCaptureFixture) -> None:
    """Where everything was logged there is nothing to add."""
    clock = ManualClock()
    tell = Teller(clock)
    for _ in range(3):
        for offset in range(10):
            tell(refused(offset))
        clock.advance(60)
    assert len(log.records) == 30


def test_duplicates_that_nobody_needs_to_see_are_not_summed_up_loudly(
    log: pytest.LogCaptureFixture,
) -> None:
    """What is logged for debugging only is counted for debugging only."""
    clock = ManualClock()
    tell = Teller(clock)
    for offset in range(50):
        tell(refused(offset, Ending.LATE_DUPLICATE))
    clock.advance(60)
    tell(refused(50, Ending.LATE_DUPLICATE))
    assert len(log.records) == 12
    assert {record.levelno for record in log.records} == {logging.DEBUG}


# What a line looks like


def test_a_line_has_the_fields_that_people_search_for() -> None:
    """Time in UTC, level, event, file, origin, size, and the sentence."""
    record = logging.LogRecord("filesync", logging.WARNING, __file__, 1, "", (), None)
    record.created, record.msecs = 1_800_000_000.25, 250.0
    record.filesync = ended(Ending.INVALID)
    assert LogfmtFormatter().format(record) == (
        "time=2027-01-15T08:00:00.250Z level=warning event=invalid file=b/a.rpz from=files[0]@7 "
        'bytes=3 msg="b/a.rpz from files[0]@7: invalid: why"'
    )


def test_a_line_of_another_logger_is_as_readable() -> None:
    """What a library logs becomes a line of the same form, a traceback included."""
    with pytest.raises(ValueError, match="bad") as caught:
        raise ValueError("bad\nnews")
    record = logging.LogRecord(
        "a.library",
        logging.ERROR,
        __file__,
        1,
        "it is %s",
        ("over",),
        (caught.type, caught.value, caught.tb),
    )
    line = fields(LogfmtFormatter().format(record))
    assert (line["level"], line["logger"], line["msg"]) == ("error", "a.library", "it is over")
    assert line["exception"].endswith("ValueError: bad\nnews")


@given(st.text(st.characters()), st.text(st.characters()))
def test_whatever_is_in_it_an_outcome_is_one_line(name: str, detail: str) -> None:
    """Line breaks, quotes and terminal codes of any kind are spelled out, and read back."""
    record = logging.LogRecord("filesync", logging.INFO, __file__, 1, "", (), None)
    outcome = TransferEnded(
        ending=Ending.INVALID, name=name, origin=Origin(source=P0, offset=7), detail=detail
    )
    record.filesync = outcome
    line = LogfmtFormatter().format(record)
    assert line.isprintable()
    assert fields(line)["file"] == name
    assert fields(line)["msg"] == str(outcome)


def test_names_of_people_stay_readable() -> None:
    """What can be printed is printed as it is, in any language."""
    record = logging.LogRecord("filesync", logging.INFO, __file__, 1, "žluťoučký kůň", (), None)
    assert 'msg="žluťoučký kůň"' in LogfmtFormatter().format(record)


def test_the_command_line_logs_to_standard_error(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the level on that it was told, and nowhere else."""
    configure_logging("warning")
    tell = Teller()
    tell(ended(Ending.COMMITTED))
    tell(ended(Ending.INVALID))
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert fields(line)["event"] == "invalid"


@pytest.mark.parametrize(("level", "shown"), [("info", False), ("DEBUG", True)])
def test_what_a_driver_logs_is_shown_for_debugging_only(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str], level: str, *, shown: bool
) -> None:
    """It logs each attempt to reach a broker; what that means is told once, by an outcome."""
    configure_logging(level)
    logging.getLogger("kafka.net.manager").error("Connection failed")
    logging.getLogger("filesync.kafka_python").error("ours")
    _, err = capsys.readouterr()
    assert ("Connection failed" in err) is shown
    assert "ours" in err
