"""What is built and installed, in empty environments: the wheel is what users get."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parents[2]

PACKAGES = {
    "filesync",
    "filesync_confluent_kafka",
    "filesync_kafka_common",
    "filesync_kafka_python",
}

#: By adapter, the driver's distribution and extra.
DRIVERS = {
    "filesync_confluent_kafka": "confluent-kafka",
    "filesync_kafka_python": "kafka-python",
}


def _run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(name="built", scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel, made of the sdist, and the sdist, made of the checkout."""
    folder = tmp_path_factory.mktemp("built")
    done = _run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(name="wheel", scope="session")
def _wheel(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


class Environment:
    """A virtual environment of *python*, with the wheel and *extras*."""

    def __init__(
        self, folder: Path, wheel: Path, extras: Sequence[str] = (), python: str = sys.executable
    ) -> None:
        self._bin = folder / "venv" / "bin"
        self.folder = folder
        done = _run(python, "-m", "venv", folder / "venv")
        assert done.returncode == 0, done.stderr
        wanted = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
        done = _run(self._bin / "python", "-m", "pip", "install", "--quiet", wanted)
        assert done.returncode == 0, done.stderr

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of it, in an empty folder."""
        empty = self.folder / "empty"
        empty.mkdir(exist_ok=True)
        return _run(self._bin / program, *words, cwd=empty)


@pytest.fixture(name="bare", scope="session")
def _bare(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    return Environment(tmp_path_factory.mktemp("bare"), wheel)


def test_the_wheel_has_our_packages_and_nothing_else(wheel: Path) -> None:
    """Each with its types; no folder of the checkout is a package by mistake."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert len(tops) == len(PACKAGES) + 1
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
        assert f"{package}/__init__.py" in names
    assert not [name for name in names if {"adapters", "tests", "__pycache__"} & {*name.split("/")}]
    in_checkout = {
        str(path.relative_to(source))
        for source in (ROOT / "src", ROOT / "adapters")
        for path in source.rglob("*.py")
    }
    assert in_checkout == {name for name in names if name.endswith(".py")}


def test_the_sdist_can_be_tested(built: Path) -> None:
    """Whoever packages it for a distribution has tests, pages and licence."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    pages = ("README.md", "docs/index.md", "tests/docs/test_pages.py")
    for needed in ("LICENSE", "pyproject.toml", *pages):
        assert needed in names


def test_the_program_works_in_an_empty_environment(bare: Environment) -> None:
    """It tells what it is; without a driver, how to get one."""
    assert bare.run("filesync", "--version").stdout.startswith("filesync 0.")
    settings = bare.folder / "settings.yaml"
    settings.write_text(f"hostname: ns1\nkafka: {{enable: true, files-dir: {bare.folder}}}\n")
    done = bare.run("filesync", "check", str(settings))
    assert done.returncode == 2
    assert "pip install 'kafka-filesync[confluent-kafka]'" in done.stderr


@pytest.mark.parametrize(("package", "driver"), DRIVERS.items())
def test_an_adapter_without_its_driver_says_how_to_get_it(
    bare: Environment, package: str, driver: str
) -> None:
    """Whoever imports it by hand is told what whoever names it in settings is told."""
    done = bare.run("python", "-c", f"import {package}")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: ")
    assert f"pip install 'kafka-filesync[{driver}]'" in last


def test_the_dependencies_are_two(bare: Environment) -> None:
    """The core needs attrs and PyYAML; everything else is an extra."""
    listed = bare.run("python", "-m", "pip", "list", "--format", "freeze").stdout.split()
    names = {line.partition("==")[0].lower() for line in listed}
    assert names - {"pip", "setuptools", "wheel"} == {"attrs", "kafka-filesync", "pyyaml"}


@pytest.mark.parametrize("driver", DRIVERS.values())
@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_the_wheel_runs_the_demo(tmp_path: Path, wheel: Path, version: str, driver: str) -> None:
    """As somebody sees it who has nothing else; with the oldest Python and a new one."""
    python = shutil.which(f"python{version}")
    if python is None:
        assert "CI" not in os.environ, f"python{version} is not here"
        pytest.skip(f"python{version} is not here")
    # The broker of the demo is confluent-kafka's.
    installed = Environment(tmp_path, wheel, sorted({"confluent-kafka", driver}), python)
    done = installed.run("filesync", "demo", "--driver", driver)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("Done: every file is whole")
