"""A place where filesync runs as a program, beside packages that only a test has installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

__all__ = ["Place"]

#: A transport that somebody installed: its log is in memory, and filled at start.
_SAMPLE = """
import json, os
from filesync.exceptions import TransportError
from filesync.runtime._memory import MemoryBroker, MemoryTransport
from filesync.runtime._memory_producer import MemoryProducer

def open_transport(settings):
    broker = MemoryBroker()
    broker.create_topic(settings.kafka.topic)
    for name, text in json.loads(os.environ.get("SAMPLE_FILES", "{}")).items():
        headers = [("hostname", b"ns1"), ("file-name", name.encode())]
        broker.publish(settings.kafka.topic, text.encode(), headers=headers)
    return MemoryTransport(broker, settings.kafka.topic)

class Refusing(MemoryTransport):
    def start(self):
        raise TransportError("ca-file is no certificate")

class Dying(MemoryTransport):
    def poll(self, *arguments):
        raise TransportError("the broker speaks another protocol")

class Seen(MemoryProducer):
    def send(self, record):
        headers = {name: value.decode() for name, value in record.headers}
        print("record", headers["hostname"], headers["files-name"], len(record.value), flush=True)
        super().send(record)

def open_producer(settings, *, timeout):
    broker = MemoryBroker()
    if settings.kafka.topic != "missing":
        broker.create_topic(settings.kafka.topic)
    return Seen(broker, settings.kafka.topic, timeout=timeout, max_record_bytes=10_000_000)

class Slow(Seen):
    def poll(self, timeout):
        print("waiting", flush=True)
        with self._broker.changed:
            self._broker.changed.wait(timeout)
        return []

def open_slow(settings, *, timeout):
    broker = MemoryBroker()
    broker.create_topic(settings.kafka.topic)
    return Slow(broker, settings.kafka.topic, timeout=timeout)

def open_small(settings, *, timeout):
    broker = MemoryBroker()
    broker.create_topic(settings.kafka.topic)
    return MemoryProducer(broker, settings.kafka.topic, timeout=timeout, max_record_bytes=9)

def refuse(settings):
    return Refusing(MemoryBroker(), settings.kafka.topic)

def die(settings):
    return Dying(MemoryBroker(), settings.kafka.topic)
"""

_ENTRY_POINTS = """
[filesync.transports]
sample = sample_transport:open_transport
refusing = sample_transport:refuse
dying = sample_transport:die
undriven = undriven_transport:open_transport

[filesync.producers]
sample = sample_transport:open_producer
slow = sample_transport:open_slow
small = sample_transport:open_small
"""


@define
class Place:
    """A settings file, a files-dir, and packages that only we have installed."""

    folder: Path
    path: Path = field(init=False)
    files: Path = field(init=False)
    packages: Path = field(init=False)
    running: list[subprocess.Popen[str]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.path = self.folder / "settings.yaml"
        self.files = self.folder / "files"
        self.packages = self.folder / "packages"
        self.files.mkdir()
        self.packages.mkdir()
        (self.packages / "sample_transport.py").write_text(_SAMPLE)
        (self.packages / "undriven_transport.py").write_text("import a_driver_of_nobody\n")
        self.install("sample", "1.0", _ENTRY_POINTS)
        self.write()

    def install(self, name: str, version: str, entry_points: str = "") -> None:
        """Let a package seem to be installed."""
        folder = self.packages / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}")
        (folder / "entry_points.txt").write_text(entry_points)

    def write(
        self,
        *,
        enable: bool = True,
        driver: str = "sample",
        topic: str = "files",
        files_dir: Path | None = None,
        renew: Sequence[str] = ("true",),
        more: str = "",
    ) -> None:
        """Write the settings file."""
        text = f"""\
            hostname: ns1
            kafka:
              enable: {str(enable).lower()}
              topic: {topic}
              files-dir: {files_dir or self.files}
            filesync:
              driver: {driver}
              schedule: {{quiet: 50ms, max-wait: 50ms, min-gap: 0s, backoff: 50ms}}
              daemon: {{adapter: command, renew: {json.dumps(renew)}}}
            """
        self.path.write_text(textwrap.dedent(text) + more)

    def start(self, *arguments: str, files: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the program; a warning is an error in it."""
        process = subprocess.Popen(
            [sys.executable, "-W", "error", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(self.packages), *filter(None, sys.path)]),
                "SAMPLE_FILES": json.dumps(files or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return process

    def run(
        self, *options: str, files: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Let ``filesync run`` come to its end."""
        process = self.start("-m", "filesync", "run", "-c", str(self.path), *options, files=files)
        out, err = process.communicate(timeout=20)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def publish(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Let ``filesync publish`` come to its end."""
        process = self.start("-m", "filesync", "publish", "-c", str(self.path), *arguments)
        out, err = process.communicate(timeout=20)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def file(self, name: str, data: bytes) -> str:
        """Write a file to publish; return its path."""
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def close(self) -> None:
        """End what still runs."""
        for process in self.running:
            process.kill()
            process.communicate()
