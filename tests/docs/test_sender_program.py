"""The sender of the page on publishing: any program can be one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.pages import DOCS, blocks, lines_of_code, needs_confluent

HEADERS = ("hostname", "files-name", "total-chunks", "chunk-index")


@pytest.fixture(name="program")
def _program(tmp_path: Path) -> Path:
    """Return the program, as the page has it."""
    page = DOCS / "how-to" / "publish.md"
    (code,) = [code for code in blocks(page, "python") if code.startswith("# send.py\n")]
    path = tmp_path / "send.py"
    path.write_text(code, encoding="utf-8")
    return path


def _write_settings(path: Path, address: str, files_dir: Path) -> None:
    path.write_text(
        "hostname: ns1.example\n"
        f"kafka: {{enable: true, server: '{address}', files-dir: {files_dir}}}\n"
        "filesync: {driver: confluent-kafka, schedule: {quiet: 0}}\n",
        encoding="utf-8",
    )


def test_the_sender_has_15_lines_and_four_headers(program: Path) -> None:
    """It knows nothing of filesync."""
    text = program.read_text(encoding="utf-8")
    assert lines_of_code(program) <= 15
    assert "filesync" not in text
    for header in HEADERS:
        assert text.count(f'"{header}"') == 1


@needs_confluent
@pytest.mark.parametrize("size", [0, 100, 1_200_000])
def test_what_the_sender_sends_is_received(program: Path, tmp_path: Path, size: int) -> None:
    """As one chunk or as three, with the options that the page shows."""
    from filesync_confluent_kafka.embedded import EmbeddedBroker  # noqa: PLC0415 - needs the driver

    file, files_dir, settings = (tmp_path / name for name in ("block.rpz", "files", "settings"))
    file.write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    files_dir.mkdir()
    with EmbeddedBroker() as broker:
        broker.create_topic("knot-resolver")
        _write_settings(settings, broker.address, files_dir)
        send = [str(program), broker.address, "knot-resolver", "ns1.example", str(file)]
        receive = ["-m", "filesync", "run", "--until-caught-up", "-c", str(settings)]
        for command in (send, receive):
            subprocess.run([sys.executable, *command], check=True, timeout=60)
    assert (files_dir / "block.rpz").read_bytes() == file.read_bytes()


@needs_confluent
def test_the_sender_chooses_the_partition_that_filesync_does(program: Path, tmp_path: Path) -> None:
    """By the name of the file; so the later of two versions is known, whoever sent it."""
    from filesync_confluent_kafka.embedded import EmbeddedBroker  # noqa: PLC0415 - needs the driver

    files_dir, settings = (tmp_path / name for name in ("files", "settings"))
    files = [tmp_path / f"{number}.rpz" for number in range(6)]
    files_dir.mkdir()
    with EmbeddedBroker() as broker:
        broker.create_topic("knot-resolver")
        _write_settings(settings, broker.address, files_dir)
        sends = []
        for file in files:
            file.write_bytes(b"old")
            send = [str(program), broker.address, "knot-resolver", "ns1.example", str(file)]
            subprocess.run([sys.executable, *send], check=True, timeout=60)
            file.write_bytes(b"new")
            sends.append(str(file))
        to = ["-c", str(settings), "--to", "ns1.example"]
        publish = ["-m", "filesync", "publish", *sends, *to]
        subprocess.run([sys.executable, *publish], check=True, timeout=60)
        receive = ["-m", "filesync", "run", "--until-caught-up", "-c", str(settings)]
        received = subprocess.run(
            [sys.executable, *receive], check=True, timeout=60, stderr=subprocess.PIPE, text=True
        )
    for file in files:
        where = re.findall(rf"file={file.name} from=knot-resolver\[(\d)\]", received.stderr)
        assert len(where) == 2, received.stderr
        assert where[0] == where[1]
        assert (files_dir / file.name).read_bytes() == b"new"
