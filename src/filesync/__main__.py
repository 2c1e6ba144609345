"""
The command line: ``filesync run | publish | check | schema | demo``.

Exit statuses (docs/reference/command-line.md):

====== ==========================================================
0      done, or `kafka.enable` is false
1      ``run --until-caught-up``: caught up, but not every file is served;
       ``publish``: not every file was sent
2      usage or settings: something must be corrected first
3      files-dir is in use by another filesync
4      the transport failed for good; ``publish``: no broker, or no topic
5      ``publish`` was stopped by a signal before all was sent
====== ==========================================================
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution, version
from types import FrameType

from filesync import Parting, Settings, read_settings
from filesync._splitter import DEFAULT_CHUNK_BYTES
from filesync.exceptions import (
    DriverMissingError,
    FilesDirError,
    FilesInUseError,
    PublishError,
    SettingsError,
    TransportError,
)

__all__ = ["main"]

_OK = 0
_NOT_SERVED = _UNSENT = 1
_USAGE = 2
_IN_USE = 3
_TRANSPORT = 4
_STOPPED = 5

_MAX_SETTINGS_BYTES = 1 << 20
_DEMO_DRIVERS = ("confluent-kafka", "kafka-python")
_LEVELS = ("debug", "info", "warning", "error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command *argv*, by default that of this process; return its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        _refuse_a_namesake()
        status: int = arguments.run(arguments)
    except FilesInUseError as exc:
        return _fail(_IN_USE, exc)
    except (SettingsError, FilesDirError, PublishError) as exc:
        return _fail(_USAGE, exc)
    except TransportError as exc:
        return _fail(_TRANSPORT, exc)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="filesync",
        description="Carry files from Kafka to a DNS daemon: whole, validated, then a reload.",
    )
    parser.add_argument("--version", action="version", version=f"filesync {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="receive files until SIGTERM or SIGINT")
    run.add_argument("-c", "--config", required=True, metavar="FILE", help="the settings file")
    run.add_argument(
        "--until-caught-up",
        action="store_true",
        help="end once all that is in the log now is on disk and served",
    )
    run.add_argument("--log-level", choices=_LEVELS, help="in place of filesync.log-level")
    run.set_defaults(run=_run)

    check = commands.add_parser("check", help="say whether a settings file can be used")
    check.add_argument("file", metavar="FILE", help="the settings file")
    check.set_defaults(run=_check)

    schema = commands.add_parser("schema", help="print the JSON Schema of settings files")
    schema.set_defaults(run=_schema)

    send = commands.add_parser(
        "publish",
        help="send files to hosts",
        description="Send every file to every host: N hosts get, and the topic stores, N copies.",
    )
    send.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="what to send; NAME=FILE sends it under another name than its last part",
    )
    send.add_argument(
        "--to",
        nargs="+",
        required=True,
        metavar="HOST",
        help="whom to send it to; @FILE names a file with a host in each line",
    )
    send.add_argument("-c", "--config", required=True, metavar="FILE", help="the settings file")
    send.add_argument(
        "--chunk-bytes",
        type=int,
        default=DEFAULT_CHUNK_BYTES,
        metavar="N",
        help="cut files into chunks of N bytes (default: %(default)s)",
    )
    send.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="wait so long for the topic and for each acknowledgement (default: %(default)g)",
    )
    send.add_argument(
        "--generation",
        type=int,
        metavar="N",
        help="orders versions, the larger is newer (default: milliseconds since 1970)",
    )
    send.add_argument("--dry-run", action="store_true", help="check everything, send nothing")
    send.set_defaults(run=_publish)

    demo = commands.add_parser("demo", help="show it at work, with a broker of its own")
    either = demo.add_mutually_exclusive_group()
    either.add_argument(
        "--broker",
        action="store_true",
        help="run only the broker, until SIGTERM or SIGINT; print its address",
    )
    either.add_argument(
        "--driver",
        choices=_DEMO_DRIVERS,
        default=_DEMO_DRIVERS[0],
        help="with which driver (default: %(default)s); the broker is confluent-kafka's",
    )
    demo.set_defaults(run=_demo)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from filesync.runtime import Receiver  # noqa: PLC0415 - `check` needs no threads.
    from filesync.runtime._logs import configure_logging  # noqa: PLC0415

    settings = _read(arguments.config)
    configure_logging(arguments.log_level or settings.log_level)
    if not settings.enabled:
        print(f"{arguments.config}: kafka.enable is false, so there is nothing to do")
        return _OK
    try:
        receiver = Receiver(settings, finish_when_caught_up=arguments.until_caught_up)
        receiver.open()
    except TransportError as exc:  # Nothing was read yet: the settings are at fault.
        return _fail(_USAGE, exc)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        receiver.ask_to_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    receiver.run()
    unserved = receiver.stats().unserved
    if arguments.until_caught_up and unserved:
        print(f"filesync: not served: {', '.join(unserved)}", file=sys.stderr)
        return _NOT_SERVED
    return _OK


def _check(arguments: argparse.Namespace) -> int:
    from filesync.runtime._check import check  # noqa: PLC0415 - only this command acts.

    settings = _read(arguments.file)
    try:
        for line in check(settings):
            print(line)
    except TransportError as exc:
        return _fail(_USAGE, exc)
    return _OK


def _schema(_: argparse.Namespace) -> int:
    from filesync._settings_schema import settings_schema  # noqa: PLC0415 - only this one needs it.

    print(json.dumps(settings_schema(), indent=2))
    return _OK


def _publish(arguments: argparse.Namespace) -> int:
    from filesync.runtime._publish import publish  # noqa: PLC0415 - only this command needs it.

    settings = _read(arguments.config)
    ended = publish(
        settings,
        files=arguments.files,
        to=arguments.to,
        chunk_bytes=arguments.chunk_bytes,
        timeout=arguments.timeout,
        generation=arguments.generation,
        dry_run=arguments.dry_run,
    )
    partings = {each.parting for each in ended}
    if Parting.CANCELLED in partings:
        return _STOPPED
    return _OK if partings <= {Parting.SENT} else _UNSENT


def _demo(arguments: argparse.Namespace) -> int:
    from filesync.runtime._demo import run_broker, run_demo  # noqa: PLC0415 - only this command.

    try:
        if not arguments.broker:
            return run_demo(arguments.driver)
        # Blocked before the broker has threads, so that none of them takes a signal.
        stop = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, stop)
        print("a broker in memory, until SIGTERM or SIGINT (Ctrl-C); its address:", file=sys.stderr)
        run_broker(partial(print, flush=True), partial(signal.sigwait, stop))
    except DriverMissingError as exc:
        return _fail(_USAGE, exc)
    return _OK


def _read(path: str) -> Settings:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_SETTINGS_BYTES + 1)
    except OSError as exc:
        raise SettingsError(exc.strerror or str(exc), source=path) from exc
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise SettingsError(f"byte {exc.start} is not UTF-8", source=path) from exc
    return read_settings(text, source=path, default_hostname=socket.gethostname())


def _refuse_a_namesake() -> None:
    """Stop if the distribution ``filesync``, a stranger, shares our import name."""
    try:
        found = distribution("filesync")
    except PackageNotFoundError:
        return
    raise SettingsError(
        f"the distribution 'filesync' {found.version}, another project, owns the import name "
        "'filesync' too: pip uninstall filesync, then pip install --force-reinstall kafka-filesync",
        source="this Python environment",
    )


def _version() -> str:
    try:
        return version("kafka-filesync")
    except PackageNotFoundError:  # Run from a checkout.
        return "(not installed)"


def _fail(status: int, exc: Exception) -> int:
    print(f"filesync: {exc}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
