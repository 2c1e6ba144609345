"""The command line, without Kafka: how it is called, what `filesync run` says, and how it ends."""

from __future__ import annotations

import signal

import pytest

from filesync.__main__ import main
from support.disk import names_in
from support.place import Place
from support.waiting import eventually

# How it is called


@pytest.mark.parametrize(
    "arguments",
    [[], ["restart"], ["run"], ["check"], ["run", "-c"], ["run", "-c", "x", "--log-level", "all"]],
    ids=" ".join,
)
def test_a_wrong_call_is_told_with_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Status 2, and what would be right."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: filesync")


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_it_says_what_it_is(capsys: pytest.CaptureFixture[str], option: str) -> None:
    """Version and help end with status 0."""
    with pytest.raises(SystemExit) as caught:
        main([option])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(("filesync ", "usage: filesync"))


# Run


def test_what_is_switched_off_ends_at_once(place: Place) -> None:
    """Status 0 and a sentence; files-dir is not touched, the driver is not needed."""
    place.write(enable=False, driver="undriven", files_dir=place.folder / "missing")
    done = place.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{place.path}: kafka.enable is false, so there is nothing to do\n"


def test_all_that_is_there_is_fetched_and_served(place: Place) -> None:
    """``--until-caught-up`` ends with status 0, the files in place, the daemon told once."""
    place.write(renew=["sh", "-c", "echo renewed >> $0/renewed", str(place.folder)])
    done = place.run("--until-caught-up", files={"a.rpz": "one", "b/c.rpz": "two"})
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert names_in(place.files) == ["a.rpz", "b", "b/c.rpz"]
    assert (place.files / "b" / "c.rpz").read_text() == "two"
    assert (place.folder / "renewed").read_text() == "renewed\n"
    events = [line.split("event=")[1].split()[0] for line in done.stderr.splitlines()]
    assert sorted(events) == [
        "caught_up",
        "committed",
        "committed",
        "health_changed",
        "renew_assumed",
    ]


def test_what_is_not_served_is_told(place: Place) -> None:
    """Status 1: the files are in place, but the daemon does not want them."""
    place.write(renew=["false"])
    done = place.run("--until-caught-up", "--log-level", "error", files={"a.rpz": "one"})
    assert done.returncode == 1
    assert done.stderr == "filesync: not served: a.rpz\n"
    assert (place.files / "a.rpz").read_text() == "one"


def test_a_files_dir_in_use_is_told(place: Place) -> None:
    """Status 3 and one clear line; the first process goes on, and the next may start after it."""
    first = place.start("-m", "filesync", "run", "-c", str(place.path))
    eventually((place.files / ".filesync" / "journal").exists)
    second = place.run()
    assert second.returncode == 3
    assert second.stderr == (
        f"filesync: files-dir {place.files} is in use by another filesync; "
        "stop that one, or give each its own files-dir\n"
    )
    assert first.poll() is None
    first.kill()
    first.communicate(timeout=20)
    assert place.run("--until-caught-up").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(place: Place, number: signal.Signals) -> None:
    """Status 0, soon; what was read is written down."""
    process = place.start("-m", "filesync", "run", "-c", str(place.path), files={"a.rpz": "one"})
    eventually((place.files / "a.rpz").exists)
    process.send_signal(number)
    _, err = process.communicate(timeout=5)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert b'"positions":[["files",0,1]]' in (place.files / ".filesync" / "journal").read_bytes()


@pytest.mark.parametrize(
    ("driver", "status", "said"),
    [
        ("refusing", 2, "filesync: ca-file is no certificate\n"),
        ("dying", 4, "filesync: the broker speaks another protocol\n"),
    ],
)
def test_a_transport_that_fails_is_told(place: Place, driver: str, status: int, said: str) -> None:
    """Status 2 before anything was read: correct it; status 4 later: start it again."""
    place.write(driver=driver)
    done = place.run()
    assert (done.returncode, done.stderr.splitlines(keepends=True)[-1]) == (status, said)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (".filesync/journal", None, "cannot be used: "),
        (".filesync", b"", "cannot be used: Not a directory"),
    ],
)
def test_what_stands_in_our_way_is_told(
    place: Place, name: str, content: bytes | None, said: str
) -> None:
    """Whatever keeps us from our own directory is told in one line, never as a traceback."""
    path = place.files / name
    path.parent.mkdir(exist_ok=True)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    done = place.run()
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
