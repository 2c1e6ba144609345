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

What a signal interrupts otherwise ends with 128 and the signal's number.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution, version
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO, TypeVar

from filesync import Parting, Settings, read_settings
from filesync._setting_forms import duration, size
from filesync._splitter import DEFAULT_CHUNK_BYTES
from filesync._yaml import Leaf, Place, Shape, Tree
from filesync.exceptions import (
    DriverMissingError,
    FilesDirError,
    FilesInUseError,
    PublishError,
    SettingsError,
    TransportError,
)

if TYPE_CHECKING:
    from filesync._settings_document import Document

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

#: argparse prints positional arguments last, where ``--to`` would swallow them.
_PUBLISH_USAGE = """\
%(prog)s [-h] FILE [FILE ...] --to HOST [HOST ...] -c FILE
                        [--chunk-bytes SIZE] [--timeout DURATION]
                        [--generation N] [--dry-run]"""

_T = TypeVar("_T")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command *argv*, by default that of this process; return its exit status."""
    _prepare_streams()
    try:
        return _main(argv)
    finally:
        for stream in (sys.stdout, sys.stderr):  # What is left in them, of argparse say.
            _print(stream, "")


def _main(argv: Sequence[str] | None) -> int:
    command: Callable[[argparse.Namespace], int] | None = None
    try:
        arguments = _parser().parse_args(argv)
        command = arguments.run
        _refuse_a_namesake()
        return arguments.run(arguments)  # type: ignore[no-any-return]
    except FilesInUseError as exc:
        return _fail(_IN_USE, exc)
    except (SettingsError, FilesDirError, PublishError) as exc:
        return _fail(_USAGE, exc)
    except TransportError as exc:
        return _fail(_TRANSPORT, exc)
    except KeyboardInterrupt as exc:
        number: int = exc.args[0] if exc.args else signal.SIGINT
        if command is _publish:  # Later a signal cancels it, and raises nothing.
            return _fail(_STOPPED, "stopped before anything was sent")
        return _fail(128 + number, "stopped")


class _Parser(argparse.ArgumentParser):
    """Says why a FILE that was given may be missing."""

    def error(self, message: str) -> NoReturn:
        if "required: FILE" in message and self.prog.endswith(" publish"):
            message += "; all words between --to and the next option are hosts: FILE stands first"
        super().error(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
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
        usage=_PUBLISH_USAGE,
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
        action="extend",
        required=True,
        metavar="HOST",
        help="whom to send it to; @FILE names a file with a host in each line",
    )
    send.add_argument("-c", "--config", required=True, metavar="FILE", help="the settings file")
    send.add_argument(
        "--chunk-bytes",
        type=partial(_value, size, "--chunk-bytes"),
        default=DEFAULT_CHUNK_BYTES,
        metavar="SIZE",
        help="cut files into chunks of so many bytes, such as 1MiB (default: %(default)s)",
    )
    send.add_argument(
        "--timeout",
        type=partial(_value, duration, "--timeout"),
        default=60.0,
        metavar="DURATION",
        help="wait so long for the topic and for each acknowledgement, such as 5m "
        "(default: %(default)g seconds)",
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


def _value(read: Callable[[Tree], _T], option: str, word: str) -> _T:
    """Return what *word* means where settings have it too."""
    return read(Leaf(place=Place(source=option), shape=Shape.TEXT, text=word))


def _run(arguments: argparse.Namespace) -> int:
    from filesync.runtime import Receiver  # noqa: PLC0415 - `check` needs no threads.
    from filesync.runtime._logs import configure_logging  # noqa: PLC0415

    with _reading(arguments.config) as (settings, document):
        configure_logging(arguments.log_level or settings.log_level)
        if not settings.enabled:
            why = "kafka.enable is false" if document.has("kafka") else "there is no section kafka"
            _say(f"{arguments.config}: {why}, so there is nothing to do")
            _warn_of(document.misspelt())
            return _OK
        try:
            receiver = Receiver(settings, finish_when_caught_up=arguments.until_caught_up)
            receiver.open()
        except TransportError as exc:  # Nothing was read yet: the settings are at fault.
            return _fail(_USAGE, document.placed(exc) or exc)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        receiver.ask_to_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    receiver.run()
    unserved = receiver.stats().unserved
    if arguments.until_caught_up and unserved:
        return _fail(_NOT_SERVED, f"not served: {', '.join(unserved)}")
    return _OK


def _check(arguments: argparse.Namespace) -> int:
    from filesync.runtime._check import check, ignored  # noqa: PLC0415 - only this one acts.

    with _reading(arguments.file) as (settings, document):
        if not document.has("kafka"):
            _warn_of([SettingsError("there is no section kafka", source=arguments.file)])
        _warn_of(document.misspelt())
        _warn_of(document.placed(each) for each in ignored(settings))
        try:
            said = check(settings)
        except TransportError as exc:
            return _fail(_USAGE, document.placed(exc) or exc)
    for line in said:
        _say(line)
    return _OK


def _schema(_: argparse.Namespace) -> int:
    from filesync._settings_schema import settings_schema  # noqa: PLC0415 - only this one needs it.

    lost = _say(json.dumps(settings_schema(), indent=2))
    if lost is None or lost.errno == errno.EPIPE:  # Whoever reads it has seen enough.
        return _OK
    return _fail(_USAGE, f"standard output: {lost.strerror}")


def _publish(arguments: argparse.Namespace) -> int:
    from filesync.runtime._publish import Screen, publish  # noqa: PLC0415 - only this one.

    signal.signal(signal.SIGTERM, _interrupt)
    with _reading(arguments.config) as (settings, _):
        ended = publish(
            settings,
            Screen(_say, _warn),
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
            signal.signal(signal.SIGTERM, _interrupt)
            return run_demo(arguments.driver, _say)
        # Blocked before the broker has threads, so that none of them takes a signal.
        stop = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, stop)
        _warn("a broker in memory, until SIGTERM or SIGINT (Ctrl-C); its address:")
        run_broker(_say, partial(signal.sigwait, stop))
    except DriverMissingError as exc:
        return _fail(_USAGE, exc)
    return _OK


@contextlib.contextmanager
def _reading(path: str) -> Iterator[tuple[Settings, Document]]:
    """Read settings; what turns out to be wrong with them inside is told with its line."""
    from filesync._settings_document import Document  # noqa: PLC0415 - `schema` reads nothing.

    text = _text(path)
    settings = read_settings(text, source=path, default_hostname=socket.gethostname())
    document = Document(source=path, text=text)
    try:
        yield settings, document
    except (SettingsError, PublishError) as exc:
        placed = document.placed(exc) or document.placed(exc.__cause__)
        if placed is None:
            raise
        raise placed from exc


def _warn_of(faults: Iterable[SettingsError | None]) -> None:
    for fault in faults:
        _warn(f"filesync: warning: {fault}")


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_SETTINGS_BYTES + 1)
    except OSError as exc:
        raise SettingsError(exc.strerror or str(exc), source=path) from exc
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise SettingsError(f"byte {exc.start} is not UTF-8", source=path) from exc


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


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(number)


def _fail(status: int, why: object) -> int:
    _warn(f"filesync: {why}")
    return status


def _prepare_streams() -> None:
    """Let both streams take any text, and let nothing else become a stream that is closed."""
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:
        number = os.dup(number)
    os.close(number)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:  # Closed when Python started: now it leads nowhere.
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(line: str) -> OSError | None:
    """Print *line* to standard output, as far as that is possible."""
    return _print(sys.stdout, f"{line}\n")


def _warn(line: str) -> None:
    """Print *line* to standard error, as far as that is possible."""
    _print(sys.stderr, f"{line}\n")


def _print(stream: TextIO | None, text: str) -> OSError | None:
    """Print *text*; return why *stream* cannot take it, after which it swallows everything."""
    if stream is None:  # It was closed when Python started.
        return None
    try:
        stream.write(text)
        stream.flush()
    except OSError as exc:
        with contextlib.suppress(OSError, ValueError):  # It may be no real file.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        return exc
    except ValueError:  # Closed meanwhile.
        return None
    return None


if __name__ == "__main__":
    sys.exit(main())
