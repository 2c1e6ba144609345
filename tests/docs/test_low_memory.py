"""The page about little memory: its settings can be used, and its sums are the benchmark's."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from filesync import Settings, read_settings
from filesync.__main__ import main
from filesync.transport import open_transport
from support.pages import DOCS, ROOT, blocks, section_of
from support.promises import is_promised

PAGE = DOCS / "how-to" / "low_memory.md"

#: By driver: the package to look for.
DRIVERS = {"confluent-kafka": "confluent_kafka", "kafka-python": "kafka"}


def _profile(driver: str) -> tuple[str, Settings]:
    """Return the page's settings file for *driver*, as text and as it is read."""
    found = [
        (text, settings)
        for text in blocks(PAGE, "yaml")
        if (settings := read_settings(text, source="page", default_hostname="ns1")).driver == driver
    ]
    assert len(found) == 1, driver
    return found[0]


@pytest.fixture(name="driver", params=DRIVERS)
def _driver(request: pytest.FixtureRequest) -> str:
    driver: str = request.param
    if not is_promised(driver, DRIVERS[driver]):
        pytest.skip(f"this environment does not promise {driver}")
    return driver


@pytest.fixture(scope="module", name="bench")
def _bench() -> Iterator[ModuleType]:
    """Import the benchmark that measures the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        before = set(sys.modules)
        yield importlib.import_module("bench_memory")
        for name in ("bench_memory", "bench_process", "_measure"):
            if name not in before:
                sys.modules.pop(name, None)


def test_every_settings_file_is_accepted(
    driver: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By `filesync check`, once files-dir is there."""
    text, settings = _profile(driver)
    path = tmp_path / "settings.yaml"
    path.write_text(text.replace(settings.kafka.files_dir, str(tmp_path)), "utf-8")

    assert main(["check", str(path)]) == 0
    assert f"{path}: the settings are valid" in capsys.readouterr().out


def test_the_driver_takes_every_option(driver: str) -> None:
    """The driver itself, which judges them when it starts; no broker is needed for that."""
    _, settings = _profile(driver)
    assert settings.kafka.options.keys() == {driver}
    transport = open_transport(driver, settings)
    try:
        transport.start()
    finally:
        transport.close(5)


def test_both_profiles_have_the_same_limits() -> None:
    """So that a host can change its driver."""
    one, other = (_profile(driver)[1] for driver in DRIVERS)
    assert one.limits == other.limits


def test_the_sums_are_what_the_benchmark_promises(bench: ModuleType) -> None:
    """For every number of brokers and partitions that the page has."""
    profiles = bench.profiles()
    assert profiles.keys() == DRIVERS.keys()
    rows = re.findall(
        r"^\| (\d+) \| (\d+) \| (\d+) MiB \| (\d+) MiB \|$",
        section_of(PAGE, "## The sum"),
        re.MULTILINE,
    )
    assert len(rows) >= 2
    for brokers, partitions, *sums in rows:
        for driver, expected in zip(DRIVERS, sums, strict=True):
            count = int(partitions)
            total = bench.bound(driver, profiles[driver], count, int(brokers))
            assert total == int(expected) * bench.MIB, (driver, brokers, partitions)


def test_what_is_remembered_is_computed_from_the_limits(bench: ModuleType) -> None:
    """Each row: how many, by the profile; how many bytes each, by the benchmark's bound."""
    limits = _profile("confluent-kafka")[1].limits
    rows = dict(
        re.findall(
            r"^\| `([a-z-]+)` \|.*\| (\d+\.\d) MiB \|$",
            section_of(PAGE, "## The sum"),
            re.MULTILINE,
        )
    )
    assert rows.keys() == bench.WORST.keys()
    for name, worst in bench.WORST.items():
        size = getattr(limits, name.replace("-", "_")) * worst / bench.MIB
        assert rows[name] == f"{size:.1f}", name
