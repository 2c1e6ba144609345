"""A third party's distribution, installed where Python looks, as on a host."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["installed"]


@contextmanager
def installed(project: Path, module: str, folder: Path) -> Iterator[Path]:
    """
    Install a distribution in a directory that Python looks into, and take it away again.

    Args:
        project: The directory of its source.
        module: The one that it consists of.
        folder: An empty directory to work in.

    Yields:
        The directory in which it is installed.
    """
    target = folder / "installed"
    target.mkdir()
    if importlib.util.find_spec("hatchling") is not None:
        _build(project, folder / "source", target)
    else:
        _lay_out(project, module, target)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(target)
        yield target
    sys.modules.pop(module, None)
    importlib.invalidate_caches()


def _build(project: Path, source: Path, target: Path) -> None:
    """Build a wheel as a package index would get it, and unpack it as pip would."""
    copytree(project, source, ignore=lambda *_: ["__pycache__"])
    code = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(source)], cwd=source, check=True)
    (wheel,) = source.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(target)


def _lay_out(project: Path, module: str, target: Path) -> None:
    """Write by hand what `_build` unpacks, where nothing can build it."""
    told = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    (target / f"{module}.py").write_bytes((project / f"{module}.py").read_bytes())
    about = target / f"{module}-{told['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: {told['version']}\n"
    )
    (about / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in told["entry-points"].items()
        )
    )
