"""
A host under test: files-dir, settings file, and filesync as a real process.

Its daemon is three small programs that note what they were asked to do; what
happened is read from the process's own log.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from filesync._ledger import Ledger
from support.pieces import ledger_of
from support.waiting import eventually

__all__ = ["Host"]

_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')

_DAEMON = """
import hashlib, json, sys, time
log, what, *rest = sys.argv[1:]
entry = {"what": what, "at": time.time()}
if what == "check":
    data = open(rest[0], "rb").read()
    entry |= {"name": rest[1], "sha256": hashlib.sha256(data).hexdigest(), "path": rest[0]}
with open(log, "a") as file:
    print(json.dumps(entry), file=file, flush=True)
"""


class Host:
    """
    One resolver's host.

    Args:
        folder: A directory of its own.
        address: Of a broker.
        topic: What it reads.
        driver: With which driver.
        hostname: Whose records are its own.
        quiet: From the last change to the action.
        options: What the driver is told besides.

    Attributes:
        files_dir: Where files arrive.
        process: The running filesync, if any.
    """

    def __init__(
        self,
        folder: Path,
        address: str,
        topic: str,
        *,
        driver: str = "confluent-kafka",
        hostname: str = "ns1",
        quiet: str = "5s",
        options: Mapping[str, object] | None = None,
    ) -> None:
        self.files_dir = folder / "files"
        self.files_dir.mkdir(parents=True)
        self.outside = folder / "outside"
        self.outside.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._calls = folder / "daemon.jsonl"
        self._log = folder / "filesync.log"
        script = folder / "daemon.py"
        script.write_text(_DAEMON)
        command = json.dumps([sys.executable, str(script), str(self._calls)])[:-1]
        self.settings = folder / "settings.yaml"
        self.settings.write_text(
            f"hostname: {hostname}\n"
            "kafka:\n"
            "  enable: true\n"
            f"  topic: {topic}\n"
            f"  server: {address}\n"
            f"  files-dir: {self.files_dir}\n"
            f"  options: {json.dumps({driver: dict(options or {})})}\n"
            "filesync:\n"
            f"  driver: {driver}\n"
            f"  schedule: {{quiet: {quiet}}}\n"
            "  daemon:\n"
            "    adapter: command\n"
            f'    check: {command}, "check", "{{path}}", "{{name}}"]\n'
            f'    reload: {command}, "reload"]\n'
            f'    renew: {command}, "renew"]\n'
        )

    def start(self, *options: str) -> None:
        """Start filesync."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "filesync", "run", "-c", str(self.settings), *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def kill(self) -> None:
        """End it as a power cut would, but for the page cache."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, timeout: float = 30) -> int:
        """End it in order; return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def close(self) -> None:
        """End it if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def restart(self) -> None:
        """Kill it, start it again."""
        self.kill()
        self.start()

    def log(self) -> str:
        """Return all that it has logged."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def events(self, event: str | None = None, file: str | None = None) -> list[dict[str, str]]:
        """Return the logged events, in order."""
        found = []
        for line in self.log().splitlines():
            fields = {
                key: json.loads(value) if value.startswith('"') else value
                for key, value in _FIELD.findall(line)
            }
            wanted = event in (None, fields.get("event")) and file in (None, fields.get("file"))
            if "event" in fields and wanted:
                found.append(fields)
        return found

    def wait_for(
        self, event: str, *, file: str | None = None, count: int = 1, timeout: float = 60
    ) -> list[dict[str, str]]:
        """Wait until *event* was logged *count* times."""

        def there() -> list[dict[str, str]] | None:
            assert self.process is None or self.process.poll() is None, self.log()[-2000:]
            found = self.events(event, file)
            return found if len(found) >= count else None

        try:
            found = eventually(there, timeout, what=f"{count} times {event} of {file}")
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.log()[-4000:]}") from None
        assert found is not None
        return found

    def wait_until_ready(self, timeout: float = 60) -> None:
        """Wait until this process has caught up."""
        count = self.log().count("event=caught_up")
        self.wait_for("caught_up", count=count or 1, timeout=timeout)

    def calls(self, what: str) -> list[dict[str, str]]:
        """Return what the daemon was asked to do."""
        if not self._calls.exists():
            return []
        entries = map(json.loads, self._calls.read_text().splitlines())
        return [entry for entry in entries if entry["what"] == what]

    def holds(self, name: str, data: bytes) -> bool:
        """Whether the file *name* has exactly these bytes."""
        path = self.files_dir / name
        return path.exists() and _digest(path) == hashlib.sha256(data).hexdigest()

    def ledger(self) -> Ledger:
        """Read the journal."""
        return ledger_of((self.files_dir / ".filesync" / "journal").read_bytes())

    def names(self) -> list[str]:
        """Return every file and directory in files-dir, but for our own."""
        return sorted(
            str(path.relative_to(self.files_dir))
            for path in self.files_dir.rglob("*")
            if ".filesync" not in path.parts
        )

    def rss(self) -> int:
        """Return the bytes of memory that the process has now."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()
