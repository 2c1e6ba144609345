"""
``filesync demo``: a broker, a publisher and a receiver, in one process and one folder.

Everything is real but for three things: the broker is librdkafka's embedded
one, the daemon is a shell command that notes how often it was called, and what
the publisher sends is shuffled on its way.

``filesync demo --broker`` is the broker alone, for trying things out by hand.
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
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from filesync._lookup import load_adapter
from filesync._model import Claims
from filesync._outcomes import ActionEnded, CaughtUp, Ending, Outcome, TransferEnded
from filesync._sending import Parting
from filesync._settings import KafkaSettings, Settings
from filesync._settings_file import read_settings
from filesync._splitter import split
from filesync.exceptions import DriverMissingError, FileSyncError, PublishError, TransportError
from filesync.producer import Delivery, Outgoing, Producer, open_producer
from filesync.runtime._publisher import FileToSend, Publisher
from filesync.runtime._receiver import Receiver

if TYPE_CHECKING:
    from filesync_confluent_kafka.embedded import EmbeddedBroker

__all__ = ["DemoError", "run_broker", "run_demo"]

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
{options}filesync:
  driver: {driver}
  daemon:
    adapter: command
    check: [test, -s, "{{path}}"]
    reload: [sh, -c, "echo reload >> {log}"]
    renew: [sh, -c, "echo renew >> {log}"]
  schedule: {{quiet: 3s}}
"""


#: The embedded broker answers kafka-python's newer requests with what that cannot read.
_OPTIONS = {"kafka-python": '  options: {kafka-python: {api_version: "2.3"}}\n'}


def run_demo(driver: str = "confluent-kafka", show: Callable[[str], object] = print) -> int:
    """
    Show filesync at work with *driver*; return the exit status, 0 when all went as told.

    Raises:
        DriverMissingError: confluent-kafka, which carries the broker, is
            missing, or *driver* is.
    """
    for half in ("transport", "producer"):
        load_adapter(half, driver)
    with tempfile.TemporaryDirectory(prefix="filesync-demo-") as folder, _start_broker() as broker:
        return _Demo(folder, broker, driver, show).run()


def run_broker(tell: Callable[[str], object], wait: Callable[[], object]) -> None:
    """
    Run the broker, with the topic that settings have by default, until *wait* returns.

    Args:
        tell: Is given ``host:port`` once the broker can be used.
        wait: Called then.

    Raises:
        DriverMissingError: confluent-kafka, which carries the broker, is missing.
        TransportError: The broker does not start.
    """
    with _start_broker() as broker:
        broker.create_topic(KafkaSettings().topic)
        tell(broker.address)
        wait()


def _start_broker() -> EmbeddedBroker:
    try:
        from filesync_confluent_kafka.embedded import EmbeddedBroker  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise DriverMissingError(
            "the demo uses the broker inside confluent-kafka: "
            "pip install 'kafka-filesync[confluent-kafka]'"
        ) from exc
    return EmbeddedBroker()


class DemoError(FileSyncError):
    """The demo did not go as it should."""


class _Shuffler:
    """A producer that sends in another order what it is given between two polls."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._held: list[Outgoing] = []
        self._chance = random.Random(1)  # noqa: S311 - no secret.
        self.start, self.health, self.close = producer.start, producer.health, producer.close

    def send(self, record: Outgoing) -> None:
        """Hold *record*."""
        self._held.append(record)

    def poll(self, timeout: float) -> Sequence[Delivery]:
        """Send what is held, and return what became of what was sent."""
        held, self._held = self._held, []
        self._chance.shuffle(held)
        for record in held:
            self._producer.send(record)
        return self._producer.poll(timeout)


class _Demo:
    def __init__(
        self, folder: str, broker: EmbeddedBroker, driver: str, show: Callable[[str], object]
    ) -> None:
        self._broker = broker
        self._sent_from = os.path.join(folder, "sender")
        self._show = show
        self._files_dir = os.path.join(folder, "files")
        self._log = os.path.join(folder, "actions.log")
        self._settings = _SETTINGS.format(
            host=_HOST,
            topic=_TOPIC,
            server=broker.address,
            driver=driver,
            options=_OPTIONS.get(driver, ""),
            files_dir=self._files_dir,
            log=shlex.quote(self._log),
        )
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()

    def run(self) -> int:
        show = self._show
        os.mkdir(self._files_dir)
        os.mkdir(self._sent_from)
        _write(self._files_dir, "resolver.yaml", _OLD_CONFIGURATION)
        self._broker.create_topic(_TOPIC)
        show("A Kafka broker runs inside this process. The receiver has these settings:\n")
        show("".join(f"    {line}\n" for line in self._settings.splitlines()))
        show("Its files-dir holds a resolver.yaml, with which the daemon runs.")
        settings = read_settings(self._settings, source="demo", default_hostname=_HOST)
        receiver = Receiver(settings, tell=self._outcomes.put)
        producer = open_producer(settings.driver, settings, timeout=_PATIENCE)
        receiver.start()
        try:
            with self._publisher(settings, producer) as publisher:
                fine = all([self._wait_for_start(), *self._scenes(publisher)])
        except (DemoError, TransportError) as exc:
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

    def _publisher(self, settings: Settings, producer: Producer) -> Publisher:
        return Publisher(
            settings,
            producer=_Shuffler(producer),
            chunk_bytes=_CHUNK_BYTES,
            timeout=_PATIENCE,
        )

    def _scenes(self, publisher: Publisher) -> Iterator[bool]:
        show = self._show
        rules = itertools.chain(
            ["$TTL 300\n", "@ SOA localhost. root.localhost. 1 3600 600 86400 300\n"],
            (f"domain-{number}.example CNAME .\n" for number in range(_RULES)),
        )
        block_list = "".join(rules).encode()
        chunks = self._publish(publisher, "block.rpz", block_list)
        show(f"1. A block list of {_RULES:,} rules ({len(block_list):,} bytes) is published")
        show(f"   in {chunks} chunks, which arrive out of order.")
        yield self._expect("block.rpz", Ending.COMMITTED)
        yield self._holds("block.rpz", block_list)

        show("2. A broken configuration is to be published. It is refused at once:")
        try:
            self._publish(publisher, "resolver.yaml", _BROKEN_CONFIGURATION)
        except PublishError as exc:
            show(f"   -> {exc}")
        show("   Another sender, that checks nothing, sends it nevertheless.")
        self._send("resolver.yaml", _BROKEN_CONFIGURATION)
        yield self._expect("resolver.yaml", Ending.INVALID)
        yield self._holds("resolver.yaml", _OLD_CONFIGURATION)

        self._publish(publisher, "resolver.yaml", _NEW_CONFIGURATION)
        show("3. A good configuration is published.")
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

    def _publish(self, publisher: Publisher, name: str, data: bytes) -> int:
        """Publish a file; return its chunks."""
        file = FileToSend(_write(self._sent_from, name, data))
        (ended,) = publisher.publish([file], [_HOST])
        if ended.parting is not Parting.SENT:
            raise DemoError(str(ended))
        return ended.shipment.count

    def _send(self, name: str, data: bytes) -> None:
        """Send the records of a file, as somebody might who knows the four headers only."""
        records = [
            (part.key, data[part.start : part.stop], part.headers)
            for part in split(hostname=_HOST, name=name, size=len(data), claims=Claims())
        ]
        self._broker.publish(_TOPIC, records)

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


def _write(folder: str, name: str, data: bytes) -> str:
    """Write a file; return its path."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path
