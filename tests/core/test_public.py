"""What is public says so: `__all__` is exact in every module that a user may import."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from types import GenericAlias, ModuleType

import pytest

import filesync

PUBLIC = (
    "filesync",
    "filesync.daemon",
    "filesync.exceptions",
    "filesync.producer",
    "filesync.runtime",
    "filesync.testing",
    "filesync.transport",
)

#: By module, the transport that an environment must promise for it.
ADAPTERS = {
    "filesync_confluent_kafka": "confluent-kafka",
    "filesync_confluent_kafka.embedded": "confluent-kafka",
    "filesync_kafka_python": "kafka-python",
}

#: They pass on what others define.
RE_EXPORTING = (
    "filesync",
    "filesync.runtime",
    "filesync.testing",
    "filesync_confluent_kafka",
    "filesync_kafka_python",
)


@pytest.fixture(name="module", params=(*PUBLIC, *ADAPTERS))
def _module(request: pytest.FixtureRequest) -> ModuleType:
    name: str = request.param
    promised = os.environ.get("FILESYNC_TRANSPORTS", "memory").split(",")
    if name in ADAPTERS and ADAPTERS[name] not in promised:
        pytest.skip(f"this environment does not promise {ADAPTERS[name]}")
    return importlib.import_module(name)


def _tree(module: ModuleType) -> ast.Module:
    assert module.__file__ is not None
    return ast.parse(Path(module.__file__).read_text(encoding="utf-8"))


def _defined(tree: ast.Module) -> Iterator[str]:
    """Yield the names that the module itself gives something to."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def _passed_on(tree: ast.Module) -> Iterator[str]:
    """Yield the names that the module imports from filesync."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("filesync"):
            yield from (alias.asname or alias.name for alias in node.names)


def test_all_is_sorted_and_everything_in_it_exists(module: ModuleType) -> None:
    """No name twice, none that is private, none that is missing."""
    names: list[str] = module.__all__
    assert names == sorted(set(names))
    for name in names:
        assert not name.startswith("_"), name
        assert hasattr(module, name), name


def test_no_public_name_is_missing_in_all(module: ModuleType) -> None:
    """What a module defines, and what one that only passes on imports, is in `__all__`."""
    tree = _tree(module)
    expected = {name for name in _defined(tree) if not name.startswith("_")}
    if module.__name__ in RE_EXPORTING:
        expected |= set(_passed_on(tree)) - _only_for_types(module)
    assert set(module.__all__) == expected


def _only_for_types(module: ModuleType) -> set[str]:
    """Return what an adapter imports to say what its function takes and returns."""
    return {"Producer", "Settings", "Transport"} if module.__name__ in ADAPTERS else set()


def test_what_is_public_has_a_docstring_of_its_own(module: ModuleType) -> None:
    """Classes and functions; an alias of a type has none."""
    for name in module.__all__:
        thing = getattr(module, name)
        is_alias = isinstance(thing, GenericAlias)  # To Python 3.10 one is a class.
        if inspect.isfunction(thing) or (inspect.isclass(thing) and not is_alias):
            assert thing.__doc__, name


def test_every_other_module_is_private() -> None:
    """A module is in the list above, or its name starts with an underscore."""
    package = Path(filesync.__file__).parent
    found = {
        ".".join(("filesync", *path.relative_to(package).with_suffix("").parts))
        for path in package.rglob("*.py")
    }
    found = {name.removesuffix(".__init__") for name in found}
    assert {name for name in found if not name.rpartition(".")[2].startswith("_")} == set(PUBLIC)


def test_every_error_is_a_filesync_error() -> None:
    """One root, so that a program can catch everything that is raised on purpose."""
    for name in importlib.import_module("filesync.exceptions").__all__:
        assert issubclass(getattr(filesync.exceptions, name), filesync.FileSyncError)
