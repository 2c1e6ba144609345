"""
``filesync demo``: a broker, a sender and a receiver, in one process and one folder.

Everything is real but for two things: the broker is librdkafka's embedded
one, and the daemon is a shell command that notes how often it was called.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import random
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from filesync._model import Claims
from filesync._outcomes import ActionEnded, CaughtUp, Ending, Outcome, TransferEnded
from filesync._settings_file import read_settings
from filesync._splitter import split
from filesync.exceptions import DriverMissingError, FileSyncError
from filesync.runtime._receiver import Receiver

if TYPE_CHECKING:
    from filesync_confluent_kafka.embedded import EmbeddedBroker

__all__ = ["DemoError", "run_demo"]

_HOST = "ns1.example"
_TOPIC = "resolver-files"
_RULES = 50_000
_CHUNK_BYTES = 64 * 1024
_PATIENCE = 30.0

_OLD_CONFIGURATION = b"# what the resolver runs with today\nworkers: 1\n"
_NEW_CONFIGURATION = b"workers: 2\nlocal-data:\n  rpz:\n    - file: block.rpz\n"
_BROKEN_CONFIGURATION = b"workers: 2\nworkers: 4\nlocal-data: [\n"

_SETTINGS = """\
hostname: {host}
kafka:
  enable: true
  topic: {topic}
  server: {server}
  files-dir: {files_dir}
filesync:
  driver: confluent-kafka
  daemon:
    adapter: command
    check: [test, -s, "{{path}}"]
    reload: [sh, -c, "echo reload >> {log}"]
    renew: [sh, -c, "echo renew >> {log}"]
  schedule: {{quiet: 3s}}
"""


def run_demo(show: Callable[[str], None] = print) -> int:
    """
    Show filesync at work; return the exit status, 0 when all went as told.

    Raises:
        DriverMissingError: confluent-kafka, which carries the broker, is missing.
    """
    try:
        from filesync_confluent_kafka.embedded import EmbeddedBroker  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise DriverMissingError(
            "the demo uses the broker inside confluent-kafka: "
            "pip install 'kafka-filesync[confluent-kafka]'"
        ) from exc
    with tempfile.TemporaryDirectory(prefix="filesync-demo-") as folder, EmbeddedBroker() as broker:
        return _Demo(folder, broker, show).run()


class DemoError(FileSyncError):
    """The demo did not go as it should."""


class _Demo:
    def __init__(self, folder: str, broker: EmbeddedBroker, show: Callable[[str], None]) -> None:
        self._broker = broker
        self._show = show
        self._files_dir = os.path.join(folder, "files")
        self._log = os.path.join(folder, "actions.log")
        self._settings = _SETTINGS.format(
            host=_HOST,
            topic=_TOPIC,
            server=broker.address,
            files_dir=self._files_dir,
            log=shlex.quote(self._log),
        )
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()

    def run(self) -> int:
        show = self._show
        os.mkdir(self._files_dir)
        self._write("resolver.yaml", _OLD_CONFIGURATION)
        self._broker.create_topic(_TOPIC)
        show("A Kafka broker runs inside this process. The receiver has these settings:\n")
        show("".join(f"    {line}\n" for line in self._settings.splitlines()))
        settings = read_settings(self._settings, source="demo", default_hostname=_HOST)
        receiver = Receiver(settings, tell=self._outcomes.put)
        receiver.start()
        try:
            fine = all([self._wait_for_start(), *self._scenes()])
        except DemoError as exc:
            show(f"   -> {exc}")
            fine = False
        finally:
            receiver.stop()
        self._show_folder()
        show(
            "\nDone: every file is whole, was checked, and one reload covered them all."
            if fine
            else "\nSomething went otherwise than told above."
        )
        return 0 if fine else 1

    def _wait_for_start(self) -> bool:
        self._wait(lambda outcome: isinstance(outcome, CaughtUp))
        self._show("The receiver has read the (empty) topic and is ready.\n")
        return True

    def _scenes(self) -> Iterator[bool]:
        show = self._show
        rules = itertools.chain(
            ["$TTL 300\n", "@ SOA localhost. root.localhost. 1 3600 600 86400 300\n"],
            (f"domain-{number}.example CNAME .\n" for number in range(_RULES)),
        )
        block_list = "".join(rules).encode()
        chunks = self._send("block.rpz", block_list, shuffled=True)
        show(f"1. A block list of {_RULES:,} rules ({len(block_list):,} bytes) is sent")
        show(f"   in {chunks} chunks, out of order.")
        yield self._expect("block.rpz", Ending.COMMITTED)
        yield self._holds("block.rpz", block_list)

        self._send("resolver.yaml", _BROKEN_CONFIGURATION)
        show("2. A broken configuration is sent.")
        yield self._expect("resolver.yaml", Ending.INVALID)
        yield self._holds("resolver.yaml", _OLD_CONFIGURATION)

        self._send("resolver.yaml", _NEW_CONFIGURATION)
        show("3. A good configuration is sent.")
        yield self._expect("resolver.yaml", Ending.COMMITTED)
        yield self._holds("resolver.yaml", _NEW_CONFIGURATION)
        yield self._holds("resolver.yaml.backup", _OLD_CONFIGURATION)

        show("4. Three quiet seconds later (five by default) the daemon is told, once.")
        action = self._wait(lambda outcome: isinstance(outcome, ActionEnded))
        show(f"   -> {action}")
        with open(self._log, encoding="utf-8") as file:
            actions = file.read().split()
        show(f"   -> the daemon's own log says: {', '.join(actions)}\n")
        yield actions == ["reload"]

    def _send(self, name: str, data: bytes, *, shuffled: bool = False) -> int:
        slices = list(
            split(
                hostname=_HOST,
                name=name,
                size=len(data),
                claims=Claims(),
                chunk_bytes=_CHUNK_BYTES,
            )
        )
        if shuffled:
            random.Random(1).shuffle(slices)  # noqa: S311 - no secret.
        records = [(part.key, data[part.start : part.stop], part.headers) for part in slices]
        self._broker.publish(_TOPIC, records)
        return len(slices)

    def _expect(self, name: str, ending: Ending) -> bool:
        outcome = self._wait(
            lambda outcome: isinstance(outcome, TransferEnded) and outcome.name == name
        )
        self._show(f"   -> {outcome}")
        return isinstance(outcome, TransferEnded) and outcome.ending is ending

    def _holds(self, name: str, data: bytes) -> bool:
        with open(os.path.join(self._files_dir, name), "rb") as file:
            same = file.read() == data
        self._show(
            f"   -> {name} on disk is {'byte for byte' if same else 'NOT'} what it should be"
        )
        return same

    def _wait(self, wanted: Callable[[Outcome], bool]) -> Outcome:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                outcome = self._outcomes.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise DemoError(f"the demo waited {_PATIENCE:g} s for what never came") from None
            if wanted(outcome):
                return outcome

    def _show_folder(self) -> None:
        self._show("What is on disk now:\n")
        for name in sorted(os.listdir(self._files_dir)):
            path = os.path.join(self._files_dir, name)
            with contextlib.suppress(OSError):
                size = "" if os.path.isdir(path) else f"{os.path.getsize(path):>12,} bytes"
                note = {
                    ".filesync": "the journal: what was committed, and where to read on",
                    "resolver.yaml.backup": "the version before",
                }.get(name, "")
                self._show(f"    {name:<22}{size:<20}{note}")

    def _write(self, name: str, data: bytes) -> None:
        with open(os.path.join(self._files_dir, name), "wb") as file:
            file.write(data)
