"""The core decides and does not act: what it imports, what it calls, what importing it costs."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import filesync

PACKAGE = Path(filesync.__file__).parent
ADAPTERS = Path(__file__).parents[2] / "adapters"

#: Modules by which a program acts, looks at the world, or draws lots.
ACTING = frozenset(
    {
        "_io",
        "_thread",
        "asyncio",
        "builtins",
        "concurrent",
        "ctypes",
        "datetime",
        "fcntl",
        "glob",
        "grp",
        "http",
        "importlib",
        "io",
        "logging",
        "mmap",
        "multiprocessing",
        "os",
        "pathlib",
        "posix",
        "pwd",
        "queue",
        "random",
        "runpy",
        "sched",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "uuid",
    }
)

#: Functions that act and need no import.
ACTING_FUNCTIONS = frozenset({"__import__", "breakpoint", "eval", "exec", "input", "open", "print"})

#: What `sys` offers for reading, writing and ending.
ACTING_ATTRIBUTES = frozenset(
    {"__stderr__", "__stdin__", "__stdout__", "exit", "stderr", "stdin", "stdout"}
)

#: They look for entry points: (module, function, what it imports).
LOOKUPS = {
    ("daemon.py", "open_daemon", "importlib.metadata"),
    ("_lookup.py", "load_adapter", "importlib.metadata"),
}

#: They act: the command line, and the part that is made for it.
NOT_CORE = {"__main__.py", "runtime"}

#: It names what is public of the doubles and of the contract, which are in the runtime.
RE_EXPORTING = "testing.py"

#: What `import filesync` may cost beyond attrs and PyYAML, in milliseconds.
MOST_MILLISECONDS = 50.0
RUNS = 7


def _core(package: Path) -> list[Path]:
    """Return the modules of the core, in packages of its own too, should it ever have any."""
    paths = sorted(package.rglob("*.py"))
    return [path for path in paths if path.relative_to(package).parts[0] not in NOT_CORE]


def _imported(tree: ast.AST, function: str = "") -> Iterator[tuple[int, str, str]]:
    """Yield (line, module, function around it) of every import; relative ones start with a dot."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield node.lineno, alias.name, function
            case ast.ImportFrom(module=module, level=level):
                base = "." * level + (module or "")
                yield node.lineno, base, function
                for alias in node.names:  # ``from filesync import runtime``
                    yield node.lineno, f"{base}.{alias.name}", function
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield from _imported(node, name)
            case _:
                yield from _imported(node, function)


def _violations(package: Path) -> list[str]:
    """Return what in the core of *package* can act, as ``file:line: what``."""
    found = []
    for path in _core(package):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, module, function in _imported(tree):
            if module.partition(".")[0] not in ACTING:
                continue
            lookup = (path.name, function, "importlib.metadata")
            if lookup in LOOKUPS and module.startswith("importlib.metadata"):
                continue
            found.append(f"{path.name}:{line}: {module}")
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name) if name in ACTING_FUNCTIONS:
                    found.append(f"{path.name}:{node.lineno}: {name}")
                case ast.Attribute(value=ast.Name(id="sys"), attr=name) if (
                    name in ACTING_ATTRIBUTES
                ):
                    found.append(f"{path.name}:{node.lineno}: sys.{name}")
                case ast.ImportFrom(module="sys", names=names):
                    found += [f"{path.name}:{node.lineno}: sys.{alias.name}" for alias in names]
                case _:
                    pass
    return found


def _outward(package: Path) -> list[str]:
    """Return where the core of *package* imports the runtime or an adapter."""
    found = []
    for path in _core(package):
        for line, module, _ in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            inside = module == "filesync" or module.startswith("filesync.")
            adapter = not inside and module.startswith("filesync")
            acting = module.startswith((".", "filesync.runtime"))
            if adapter or (acting and path.name != RE_EXPORTING):
                found.append(f"{path.name}:{line}: {module}")
    return found


def _fresh(code: str, cache: Path) -> str:
    """Return what *code* prints in a new interpreter that nothing was imported into."""
    places = [place for place in sys.path if place and Path(place).exists()]
    places += [sysconfig.get_path("purelib")]
    # Without `site` no file of another distribution can have imported anything before.
    command = [sys.executable, "-I", "-S", "-X", f"pycache_prefix={cache}", "-c"]
    code = f"import sys; sys.path[:] = {places!r}\n{code}"
    done = subprocess.run(
        [*command, code], check=True, capture_output=True, text=True, timeout=60, cwd=cache
    )
    return done.stdout


def test_importing_filesync_loads_nothing_that_acts_and_starts_no_thread(tmp_path: Path) -> None:
    """No socket, no TLS, no event loop, no logging, no child process, no driver, one thread."""
    code = (
        "import json, threading\n"
        "import filesync\n"
        "print(json.dumps([sorted(sys.modules), threading.active_count()]))"
    )
    loaded, threads = json.loads(_fresh(code, tmp_path))
    unwanted = {
        "_socket",
        "_ssl",
        "asyncio",
        "concurrent.futures",
        "confluent_kafka",
        "filesync.runtime",
        "filesync_confluent_kafka",
        "importlib.metadata",
        "kafka",
        "logging",
        "queue",
        "socket",
        "ssl",
    }
    assert "filesync._engine" in loaded
    assert unwanted.isdisjoint(loaded)
    assert threads == 1


def test_filesync_adds_no_module_that_acts_to_what_attrs_and_yaml_load(tmp_path: Path) -> None:
    """They load `threading` everywhere, and on Python 3.10 `subprocess`, by way of `platform`."""
    code = (
        "import json, attrs, yaml\n"
        "before = set(sys.modules)\n"
        "import filesync\n"
        "print(json.dumps([sorted(before), sorted(set(sys.modules) - before)]))"
    )
    before, added = json.loads(_fresh(code, tmp_path))
    assert "threading" in before
    assert {name.partition(".")[0] for name in added}.isdisjoint(ACTING)


def test_importing_filesync_is_quick(tmp_path: Path) -> None:
    """It costs little beyond attrs and PyYAML: the best of several fresh interpreters each."""
    timed = (
        "import time\n"
        "begun = time.process_time()\n"
        "import {}\n"
        "print((time.process_time() - begun) * 1000)"
    )
    best = dict.fromkeys(("attrs, yaml", "filesync"), float("inf"))
    # Of the processor: what else the machine does at the moment is not ours.
    for run in range(RUNS + 1):  # In turn, so that a busy moment meets both.
        for modules in best:
            took = float(_fresh(timed.format(modules), tmp_path))
            if run:  # The first one compiles.
                best[modules] = min(best[modules], took)
    extra = best["filesync"] - best["attrs, yaml"]
    # Where attrs and PyYAML take long too it is the machine: then, hardly more than they.
    assert extra <= max(MOST_MILLISECONDS, 1.25 * best["attrs, yaml"]), best


def test_the_core_neither_imports_nor_calls_what_acts() -> None:
    """Only filesync.runtime and the command line act; entry points are looked up when asked for."""
    assert len(_core(PACKAGE)) > 20
    assert _violations(PACKAGE) == []


def test_the_core_does_not_know_who_drives_it() -> None:
    """Nothing of the runtime or of an adapter is imported, but to re-export it."""
    assert _outward(PACKAGE) == []


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Path:
    """Return a copy of the package's sources, to be spoilt."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, tmp_path / "filesync", ignore=ignored))


@pytest.mark.parametrize(
    ("planted", "seen"),
    [
        ("import time", ["time"]),
        ("import os.path", ["os.path"]),
        ("from os import path", ["os", "os.path"]),
        ("from time import monotonic as now", ["time", "time.monotonic"]),
        ("def f() -> None:\n    import socket", ["socket"]),
        ("if True:\n    import logging as log", ["logging"]),
        ("import importlib", ["importlib"]),
        ("from importlib.metadata import version", ["importlib.metadata"] * 2),
        ("print()", ["print"]),
        ("say = print", ["print"]),
        ("class C:\n    def f(self) -> None:\n        open('/etc/passwd')", ["open"]),
        ("eval('1')", ["eval"]),
        ("exec('1')", ["exec"]),
        ("__import__('time')", ["__import__"]),
        ("input()", ["input"]),
        ("import sys\nsys.stdout.write('')", ["sys.stdout"]),
        ("from sys import stderr", ["sys.stderr"]),
    ],
)
def test_a_planted_violation_is_noticed(copy: Path, planted: str, seen: list[str]) -> None:
    """Whatever acts, wherever it stands in the core."""
    path = copy / "_scheduler.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{planted}\n", encoding="utf-8")
    found = _violations(copy)
    assert len(found) == len(seen)
    for told, what in zip(found, seen, strict=True):
        assert told.startswith("_scheduler.py:")
        assert f": {what}" in told


@pytest.mark.parametrize("function", ["load_adapter", "open_elsewhere"])
def test_entry_points_are_looked_up_in_two_functions_only(copy: Path, function: str) -> None:
    """The same import in another function, or in another module, is a violation."""
    text = f"def {function}() -> None:\n    from importlib.metadata import entry_points\n"
    (copy / "_scheduler.py").write_text(text, encoding="utf-8")
    (copy / "_lookup.py").write_text(text, encoding="utf-8")
    files = {told.partition(":")[0] for told in _violations(copy)}
    allowed = function == "load_adapter"
    assert files == ({"_scheduler.py"} if allowed else {"_scheduler.py", "_lookup.py"})


@pytest.mark.parametrize(
    "planted",
    [
        "from filesync.runtime import World",
        "from filesync import runtime",
        "import filesync.runtime._world",
        "from .runtime import World",
        "from filesync.runtime._contract import TransportContract",
        "def f() -> None:\n    import filesync_confluent_kafka",
    ],
)
def test_a_planted_look_outward_is_noticed(copy: Path, planted: str) -> None:
    """However it is written; and the re-exports of filesync.testing are none."""
    path = copy / "_scheduler.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{planted}\n", encoding="utf-8")
    found = _outward(copy)
    assert found
    assert all(told.startswith("_scheduler.py:") for told in found)


def test_adapters_holds_only_packages() -> None:
    """A loose module there would be importable from a checkout and missing from the wheel."""
    entries = [path for path in ADAPTERS.iterdir() if path.name != "__pycache__"]
    assert entries
    for path in entries:
        assert path.is_dir(), path
        assert path.name.startswith("filesync_"), path
        assert (path / "__init__.py").is_file(), path
        assert (path / "py.typed").is_file(), path
