"""Transports and daemons are found by name among what is installed, or missed with advice."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from filesync.daemon import open_daemon
from filesync.exceptions import DriverMissingError, FileSyncError, TransportError
from filesync.producer import open_producer
from filesync.transport import open_transport

#: Writes a module and tells the group, and the name, under which it is an adapter.
Install = Callable[[str, str, str], None]

TRANSPORTS = "filesync.transports"
DAEMONS = "filesync.daemons"

#: An adapter whose factory returns what it was given.
WORKS = """
def open_transport(settings):
    return __name__, settings
def open_daemon(options, *, files_dir):
    return __name__, options, files_dir
"""


@pytest.fixture(name="install")
def _install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Yield a function that installs an adapter; nothing else is installed meanwhile."""
    # What this environment has installed must not be found: any of it may be an adapter.
    bare = [entry for entry in sys.path if not (entry and any(Path(entry).glob("*-info")))]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *bare])
    points: dict[str, list[str]] = {}
    before = set(sys.modules)
    directory = tmp_path / "fake_adapters-1.0.dist-info"
    directory.mkdir()
    (directory / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fake-adapters\nVersion: 1.0\n"
    )

    def install(group: str, name: str, source: str) -> None:
        module = f"fake_{name.replace('-', '_')}_adapter"
        (tmp_path / f"{module}.py").write_text(source)
        factory = "open_transport" if group == TRANSPORTS else "open_daemon"
        points.setdefault(group, []).append(f"{name} = {module}:{factory}\n")
        (directory / "entry_points.txt").write_text(
            "".join(f"[{group}]\n{''.join(lines)}" for group, lines in points.items())
        )
        importlib.invalidate_caches()

    yield install
    for module in set(sys.modules) - before:
        if module.startswith("fake_"):
            del sys.modules[module]
    importlib.invalidate_caches()


def needs(package: str) -> str:
    """Return an adapter that imports *package* at its top, as an adapter does."""
    return f"import {package}\n{WORKS}"


# Transports


def test_a_driver_is_opened_by_its_name(install: Install) -> None:
    """The factory of the entry point gets the settings, and what it returns is returned."""
    install(TRANSPORTS, "one", WORKS)
    install(TRANSPORTS, "two", WORKS)
    settings = object()
    opened: object = open_transport("two", settings)
    assert opened == ("fake_two_adapter", settings)


def test_an_unknown_driver_is_told_with_those_that_are_there(install: Install) -> None:
    """A typo is seen at once, beside what could have been meant; no adapter is imported."""
    install(TRANSPORTS, "two", "raise AssertionError('imported')")
    install(TRANSPORTS, "one", "raise AssertionError('imported')")
    install(DAEMONS, "three", WORKS)
    with pytest.raises(
        TransportError,
        match=r"^filesync\.driver: no driver is called 'tow'; did you mean two\? "
        r"installed: one, two$",
    ) as caught:
        open_transport("tow", None)
    assert not isinstance(caught.value, DriverMissingError)
    assert not caught.value.retriable
    assert caught.value.key == "filesync.driver"


@pytest.mark.usefixtures("install")
def test_an_unknown_driver_among_none() -> None:
    """Where no adapter is installed, that is said."""
    with pytest.raises(TransportError, match=r": no driver is called 'one'; installed: none$"):
        open_transport("one", None)


def test_an_unknown_driver_of_a_producer_is_told(install: Install) -> None:
    """What can only read is none to send with."""
    install(TRANSPORTS, "one", WORKS)
    with pytest.raises(TransportError, match="no producer's driver is called 'one'; installed: no"):
        open_producer("one", None, timeout=1)


@pytest.mark.parametrize(
    ("imported", "package"), [("fake_driver", "fake_driver"), ("fake_driver.sub", "fake_driver")]
)
def test_a_missing_driver_is_told_with_its_pip_command(
    install: Install, imported: str, package: str
) -> None:
    """The command can be pasted: the extra has the name of the driver."""
    install(TRANSPORTS, "confluent-kafka", needs(imported))
    with pytest.raises(DriverMissingError) as caught:
        open_transport("confluent-kafka", None)
    assert str(caught.value) == (
        f"'confluent-kafka' needs the Python package '{package}': "
        "pip install 'kafka-filesync[confluent-kafka]'"
    )
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("driver", ["one", None])
@pytest.mark.parametrize(
    ("source", "error", "told"),
    [
        pytest.param("1 / 0", ZeroDivisionError, "division by zero", id="that-raises"),
        pytest.param(
            "from json import nonsense", ImportError, "cannot import name 'nonsense'", id="of-names"
        ),
        pytest.param(
            "import fake_one_adapter.inner",
            ModuleNotFoundError,
            "No module named 'fake_one_adapter.inner'",
            id="that-lacks-a-module-of-its-own",
        ),
        pytest.param(
            "raise ModuleNotFoundError('something is missing')",
            ModuleNotFoundError,
            "something is missing",
            id="that-does-not-say-what-it-lacks",
        ),
        pytest.param("x = 1", AttributeError, "open_transport", id="without-its-factory"),
        pytest.param(
            "def open_transport(settings): raise RuntimeError('bad option')",
            RuntimeError,
            "bad option",
            id="that-refuses-the-settings",
        ),
        pytest.param(
            "def open_transport(settings): import fake_driver",
            ModuleNotFoundError,
            "No module named 'fake_driver'",
            id="that-imports-late",
        ),
    ],
)
def test_a_broken_adapter_raises_its_own_error(
    install: Install,
    driver: str | None,
    source: str,
    error: type[Exception],
    told: str,
) -> None:
    """Advice to install something would mislead; nor is another driver taken in silence."""
    install(TRANSPORTS, "one", source)
    install(TRANSPORTS, "two", WORKS)
    with pytest.raises(error, match=re.escape(told)) as caught:
        open_transport(driver, None)
    assert type(caught.value) is error


def test_a_package_that_lacks_a_part_of_itself_is_broken(tmp_path: Path, install: Install) -> None:
    """Whatever part of the adapter's own package is missing: that is no driver."""
    package = tmp_path / "fake_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "transport.py").write_text(needs("fake_package.lost"))
    install(TRANSPORTS, "one", WORKS)
    points = tmp_path / "fake_adapters-1.0.dist-info" / "entry_points.txt"
    points.write_text(f"[{TRANSPORTS}]\none = fake_package.transport:open_transport\n")
    importlib.invalidate_caches()
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'fake_package.lost'$"):
        open_transport("one", None)


def test_an_adapter_that_is_not_there_itself_is_no_missing_driver(
    install: Install, tmp_path: Path
) -> None:
    """Its metadata was left behind: installing a driver would not help."""
    install(TRANSPORTS, "one", WORKS)
    (tmp_path / "fake_one_adapter.py").unlink()
    importlib.invalidate_caches()
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'fake_one_adapter'$"):
        open_transport("one", None)


def test_without_a_name_the_first_that_is_installed_is_taken(install: Install) -> None:
    """By name, whatever the order of the metadata; those without a driver are passed over."""
    install(TRANSPORTS, "three", WORKS)
    install(TRANSPORTS, "two", WORKS)
    install(TRANSPORTS, "one", needs("fake_driver"))
    settings = object()
    opened: object = open_transport(None, settings)
    assert opened == ("fake_three_adapter", settings)


@pytest.mark.usefixtures("install")
def test_without_any_adapter_one_is_recommended() -> None:
    """The command can be pasted."""
    with pytest.raises(DriverMissingError) as caught:
        open_transport(None, None)
    assert str(caught.value) == (
        "no transport is installed: pip install 'kafka-filesync[confluent-kafka]'"
    )


def test_without_any_driver_one_is_told(install: Install) -> None:
    """Of several adapters it is the first, with the package that this very one needs."""
    install(TRANSPORTS, "two", needs("fake_driver_2"))
    install(TRANSPORTS, "one", needs("fake_driver_1"))
    with pytest.raises(DriverMissingError) as caught:
        open_transport(None, None)
    assert str(caught.value) == (
        "'one' needs the Python package 'fake_driver_1': pip install 'kafka-filesync[one]'"
    )
    cause = caught.value.__cause__
    assert isinstance(cause, ModuleNotFoundError)
    assert cause.name == "fake_driver_1"


# Daemons


def test_a_daemon_is_opened_by_its_name(install: Install) -> None:
    """The factory of the entry point gets the options and files-dir."""
    install(DAEMONS, "one", WORKS)
    install(DAEMONS, "two", WORKS)
    options = {"reload": ["rndc", "reload"]}
    opened: object = open_daemon("two", options, files_dir="/files")
    assert opened == ("fake_two_adapter", options, "/files")


def test_an_unknown_daemon_is_told_with_those_that_are_there(install: Install) -> None:
    """A typo is seen at once, beside what could have been meant; transports are none."""
    install(DAEMONS, "two", WORKS)
    install(DAEMONS, "one", WORKS)
    install(TRANSPORTS, "three", WORKS)
    with pytest.raises(LookupError) as caught:
        open_daemon("three", {}, files_dir="/files")
    assert caught.value.args == ("no daemon adapter is called 'three'; installed: one, two",)


@pytest.mark.usefixtures("install")
def test_an_unknown_daemon_among_none() -> None:
    """Where no adapter is installed, that is said."""
    with pytest.raises(LookupError) as caught:
        open_daemon("one", {}, files_dir="/files")
    assert caught.value.args == ("no daemon adapter is called 'one'; installed: none",)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import fake_driver", ModuleNotFoundError),
        ("1 / 0", ZeroDivisionError),
        ("def open_daemon(options, *, files_dir): raise ValueError(options)", ValueError),
    ],
)
def test_a_broken_daemon_adapter_raises_its_own_error(
    install: Install, source: str, error: type[Exception]
) -> None:
    """What it does not understand or does not find is its own to tell."""
    install(DAEMONS, "one", source)
    with pytest.raises(error) as caught:
        open_daemon("one", {}, files_dir="/files")
    assert not isinstance(caught.value, FileSyncError)
