"""`filesync check` and `publish --dry-run` refuse what the drivers refuse, and contact nobody."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.promises import is_promised

PACKAGES = {"confluent-kafka": "confluent_kafka", "kafka-python": "kafka"}
AUTO_COMMIT = {"confluent-kafka": "enable.auto.commit", "kafka-python": "enable_auto_commit"}
#: Of a key that is not the certificate's; only one of the drivers is told which file is which.
AT_FAULT = {"confluent-kafka": (9, "key-file"), "kafka-python": (8, "cert-file")}


@pytest.fixture(name="driver", params=sorted(PACKAGES))
def _driver(request: pytest.FixtureRequest) -> str:
    driver: str = request.param
    if not is_promised(driver, PACKAGES[driver]):
        pytest.skip(f"this environment does not promise {driver}")
    return driver


def write(folder: Path, driver: str, *lines: str, server: str = "localhost:9092") -> Path:
    """Write a settings file; *lines* of the section kafka are from line 7 on."""
    path = folder / "settings.yaml"
    head = f"hostname: ns1\nfilesync: {{driver: {driver}}}\nkafka:\n  enable: true\n"
    places = f"  files-dir: {folder}\n  server: '{server}'\n"
    path.write_text(head + places + "".join(f"  {line}\n" for line in lines))
    return path


def filesync(*arguments: str | Path) -> tuple[int, str, str]:
    """Let the program come to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "filesync", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_no_broker_is_contacted_and_nothing_else_is_said(tmp_path: Path, driver: str) -> None:
    """The driver's clients are made, and look elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as broker:
        server = f"127.0.0.1:{broker.getsockname()[1]}"
        path = write(tmp_path, driver, server=server)
        checked = filesync("check", path)
        tried = filesync("publish", path, "--to", "ns1", "-c", path, "--dry-run")
        broker.settimeout(0)
        with pytest.raises(BlockingIOError):
            broker.accept()

    assert (checked[0], checked[2]) == (0, "")
    assert f"  topic       knot-resolver at {server}\n" in checked[1]
    assert (tried[0], tried[2]) == (0, "")
    assert tried[1].startswith("would send settings.yaml to ns1: ")


def test_a_file_that_is_missing_is_told(tmp_path: Path, driver: str) -> None:
    """By each command in the same words, with the line."""
    path = write(tmp_path, driver, "security-protocol: ssl", f"ca-file: {tmp_path}/gone")
    told = (
        f"filesync: {path}, line 8: kafka.ca-file: cannot read {tmp_path}/gone: "
        "No such file or directory\n"
    )
    assert filesync("check", path) == (2, "", told)
    assert filesync("run", "-c", path) == (2, "", told)
    assert filesync("publish", path, "--to", "ns1", "-c", path, "--dry-run") == (2, "", told)


def test_an_option_that_is_refused_is_told(tmp_path: Path, driver: str) -> None:
    """With its own line."""
    path = write(tmp_path, driver, "options:", f"  {driver}:", f"    {AUTO_COMMIT[driver]}: true")
    told = (
        f"filesync: {path}, line 9: kafka.options.{driver}: '{AUTO_COMMIT[driver]}' cannot be set: "
        "it is false because positions live with the files\n"
    )
    assert filesync("check", path) == (2, "", told)
    assert filesync("run", "-c", path) == (2, "", told)
    assert filesync("publish", path, "--to", "ns1", "-c", path, "--dry-run") == (2, "", told)


def test_an_option_that_the_driver_does_not_know_is_told(tmp_path: Path, driver: str) -> None:
    """It is the driver that refuses it; the line is ours."""
    path = write(tmp_path, driver, "options:", f"  {driver}:", "    foo.bar: true")
    status, out, err = filesync("check", path)
    assert (status, out) == (2, "")
    assert err.startswith(
        f"filesync: {path}, line 9: kafka.options.{driver}.foo.bar: {driver} refuses the settings: "
    )
    assert filesync("run", "-c", path) == (2, "", err)


def test_a_key_of_another_certificate_is_told(tmp_path: Path, driver: str) -> None:
    """Each is fine by itself."""
    for name in ("one", "two"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-subj", "/CN=ns1", "-days", "1", "-nodes"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"),
            ],
            check=True,
            capture_output=True,
        )
    path = write(
        tmp_path,
        driver,
        "security-protocol: ssl",
        f"cert-file: {tmp_path}/one.pem",
        f"key-file: {tmp_path}/two.key",
    )
    line, setting = AT_FAULT[driver]
    status, out, err = filesync("check", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"filesync: {path}, line {line}: kafka.{setting}")
    assert filesync("run", "-c", path) == (2, "", err)
    path.write_text(path.read_text().replace("two.key", "one.key"))
    assert filesync("check", path)[0] == 0
