"""The programs of the page on embedding: short, shown, and they do what the page says."""

from __future__ import annotations

import asyncio
import contextlib
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from filesync import (
    ActionEnded,
    DaemonSettings,
    Ending,
    KafkaSettings,
    Outcome,
    Schedule,
    Settings,
    TransferEnded,
)
from filesync.daemon import Served
from filesync.testing import MemoryBroker, MemoryTransport
from support.pages import DOCS, blocks, lines_of_code, needs_confluent, page_id
from support.waiting import eventually

if TYPE_CHECKING:
    from filesync_confluent_kafka.embedded import EmbeddedBroker

PROGRAMS = [DOCS / "how-to" / f"embed_{name}.py" for name in ("receiver", "engine")]
TOPIC = "knot-resolver"
HOST = "ns1.example"
DATA = b"bad.example CNAME .\n"
NAME = "block.rpz"


@pytest.mark.parametrize("path", PROGRAMS, ids=page_id)
def test_an_embedding_program_is_short_and_the_page_shows_it(path: Path) -> None:
    """At most 20 lines of code; the page has the very text of the file."""
    assert lines_of_code(path) <= 20
    shown = blocks(DOCS / "how-to" / "embed.md", "python")
    assert path.read_text(encoding="utf-8") in shown


def _settings(folder: Path, server: str = "localhost:9092") -> Settings:
    """Return settings of a daemon that notes how it was asked, one word each."""
    note = ["sh", "-c", 'echo "$0" >> "$1"']
    log = str(folder.parent / "actions")
    return Settings(
        hostname=HOST,
        kafka=KafkaSettings(topic=TOPIC, servers=(server,), files_dir=str(folder)),
        daemon=DaemonSettings(
            options={"reload": [*note, "reload", log], "renew": [*note, "renew", log]}
        ),
        schedule=Schedule(quiet=0.0),
    )


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return an empty files-dir."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture(name="broker")
def _broker() -> MemoryBroker:
    """Return a log that holds one file for this host."""
    broker = MemoryBroker()
    broker.create_topic(TOPIC)
    headers = [("hostname", HOST.encode()), ("files-name", NAME.encode())]
    broker.publish(TOPIC, DATA, headers=headers)
    return broker


@pytest.fixture(name="embedded")
def _embedded() -> Iterator[EmbeddedBroker]:
    """Return a Kafka broker that holds one file for this host."""
    from filesync_confluent_kafka.embedded import EmbeddedBroker  # noqa: PLC0415 - needs the driver

    with EmbeddedBroker() as embedded:
        embedded.create_topic(TOPIC)
        headers = [("hostname", HOST.encode()), ("files-name", NAME.encode())]
        embedded.publish(TOPIC, [(NAME.encode(), DATA, headers)])
        yield embedded


def _receive(main: Callable[..., Any], settings: Settings, transport: object) -> list[Outcome]:
    """Run the asyncio program until the daemon was asked, then cancel it."""
    outcomes: list[Outcome] = []

    async def run() -> None:
        ended = asyncio.Event()

        def tell(outcome: Outcome) -> None:
            asyncio.get_running_loop()  # It is called in the loop, not in the receiver's thread.
            outcomes.append(outcome)
            if isinstance(outcome, ActionEnded):
                ended.set()

        receiving = asyncio.create_task(main(settings, transport, tell))
        await asyncio.wait_for(ended.wait(), 30)
        receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await receiving

    asyncio.run(run())
    return outcomes


def _drive(main: Callable[..., Any], settings: Settings, transport: object) -> list[Outcome]:
    """Run the program with a loop of its own to its end."""
    outcomes: list[Outcome] = []
    main(settings, transport, outcomes.append)
    return outcomes


HOW = dict(zip(PROGRAMS, (_receive, _drive), strict=True))


def _was_received(folder: Path, outcomes: list[Outcome]) -> None:
    assert (folder / NAME).read_bytes() == DATA
    assert (folder.parent / "actions").read_text(encoding="utf-8") == "renew\n"
    ended = [outcome for outcome in outcomes if isinstance(outcome, TransferEnded)]
    assert [(outcome.ending, outcome.name) for outcome in ended] == [(Ending.COMMITTED, NAME)]
    assert sum(isinstance(outcome, ActionEnded) for outcome in outcomes) == 1
    # Everything is released: another one may have it.
    with contextlib.closing(_Lock(folder)) as lock:
        assert lock.taken


class _Lock:
    """Tries to take files-dir, as a second filesync would."""

    def __init__(self, folder: Path) -> None:
        from filesync.runtime._posix import Posix  # noqa: PLC0415 - only here.
        from filesync.runtime._root import Root  # noqa: PLC0415

        self._root = Root(str(folder), Posix())
        self.taken = True

    def close(self) -> None:
        """Let it go."""
        self._root.close()


@pytest.mark.parametrize("path", PROGRAMS, ids=page_id)
def test_an_embedding_program_receives_from_memory(
    path: Path, folder: Path, broker: MemoryBroker
) -> None:
    """The file is in place, the daemon was asked once, and nothing is left behind."""
    main = runpy.run_path(str(path))["main"]
    outcomes = HOW[path](main, _settings(folder), MemoryTransport(broker, TOPIC))
    _was_received(folder, outcomes)


@needs_confluent
@pytest.mark.parametrize("path", PROGRAMS, ids=page_id)
def test_an_embedding_program_receives_from_kafka(
    path: Path, folder: Path, embedded: EmbeddedBroker
) -> None:
    """The same, by the Kafka protocol."""
    from filesync_confluent_kafka import open_transport  # noqa: PLC0415 - needs the driver

    main = runpy.run_path(str(path))["main"]
    settings = _settings(folder, embedded.address)
    _was_received(folder, HOW[path](main, settings, open_transport(settings)))


@needs_confluent
@pytest.mark.parametrize("path", PROGRAMS, ids=page_id)
def test_an_embedding_program_runs_as_it_says(
    path: Path, folder: Path, embedded: EmbeddedBroker, tmp_path: Path
) -> None:
    """With a settings file on its standard input; one ends by itself, the other by Ctrl-C."""
    text = (
        f"hostname: {HOST}\n"
        f"kafka: {{topic: {TOPIC}, server: '{embedded.address}', files-dir: {folder}}}\n"
        "filesync: {schedule: {quiet: 0}}\n"
    )
    settings = tmp_path / "settings.yaml"
    settings.write_text(text, encoding="utf-8")
    printed, complaints = tmp_path / "printed", tmp_path / "complaints"
    with (
        settings.open("rb") as stdin,
        printed.open("wb") as stdout,
        complaints.open("wb") as stderr,
    ):
        program = [sys.executable, "-u", str(path)]
        process = subprocess.Popen(program, stdin=stdin, stdout=stdout, stderr=stderr)
    try:
        eventually(lambda: b"renew of " in printed.read_bytes(), 60, what="the renew")
        if path.stem == "embed_receiver":
            process.send_signal(signal.SIGINT)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
    assert (folder / NAME).read_bytes() == DATA
    if path.stem == "embed_receiver":
        assert complaints.read_text().endswith("\nKeyboardInterrupt\n")
    else:
        assert (process.returncode, complaints.read_bytes()) == (0, b"")


def test_the_proof_of_an_example_is_what_the_class_says() -> None:
    """`Served` shows its proof: the page on embedding relies on it."""
    assert str(Served(proof="seen")) == "served (seen)"
