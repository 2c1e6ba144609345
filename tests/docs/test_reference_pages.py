"""What a page lists is what the code has: labels, options, statuses, names."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
from collections.abc import Iterator

import pytest

import filesync
from filesync import Ending, _outcomes
from filesync import __main__ as command_line
from filesync.daemon import ActionKind
from support.pages import CELL, DOCS, SOURCE, first_cells, needs_confluent, section_of


def _labels() -> set[str]:
    """Return every label that an outcome may have, from the code."""
    labels = {ending.value for ending in Ending}
    results = filesync.daemon.ActionResult.__args__
    labels |= {
        f"{kind.value}_{result.__name__.lower()}" for kind in ActionKind for result in results
    }
    for outcome in _outcomes.Outcome.__args__:
        for attribute in getattr(outcome, "__attrs_attrs__", ()):
            if attribute.name == "label" and isinstance(attribute.default, str):
                labels.add(attribute.default)
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="FaultSeen"), keywords=keywords):
                    (label,) = [word.value for word in keywords if word.arg == "label"]
                    assert isinstance(label, ast.Constant)
                    assert isinstance(label.value, str)
                    labels.add(label.value)
                case _:
                    pass
    return labels


def _counters() -> set[str]:
    """Return what the engine counts beside outcomes."""
    return set(re.findall(r'_counters\["(\w+)"\]', (SOURCE / "_engine.py").read_text("utf-8")))


def test_the_outcomes_page_lists_every_label() -> None:
    """Every ending, every result of an action, every other label, every counter; nothing else."""
    page = DOCS / "reference" / "outcomes.md"
    outcomes, _, counters = page.read_text("utf-8").partition(
        "\n## Counters that are no outcomes\n"
    )
    names = first_cells(outcomes)
    assert len(names) == len(set(names))
    assert set(names) == _labels()
    assert set(first_cells(counters)) == _counters()


def test_the_outcomes_page_says_what_is_fine_and_what_is_reserved() -> None:
    """As the code has it: a reserved ending is one that nothing in the source uses."""
    source = "".join(
        path.read_text("utf-8") for path in SOURCE.rglob("*.py") if path.name != "_outcomes.py"
    )
    section = section_of(DOCS / "reference" / "outcomes.md", "## How a transfer ends")
    rows = {CELL.findall(line)[0]: line for line in section.splitlines() if line[:3] == "| `"}
    assert list(rows) == [ending.value for ending in Ending]
    for ending in Ending:
        fine, meaning = (cell.strip() for cell in rows[ending.value].split("|")[2:4])
        assert (fine == "yes") == (ending in _outcomes._FINE)
        # `Ending.MALFORMED` and the like; the engine's own module defines them.
        used = f"Ending.{ending.name}" in source
        assert meaning.startswith("Reserved:") != used, ending


def test_how_to_operate_tells_what_to_do_about_every_label() -> None:
    """But for those that are reserved, and for actions that are fine."""
    section = section_of(DOCS / "how-to" / "operate.md", "## What each outcome wants you to do")
    fine = {f"{kind.value}_{end}" for kind in ActionKind for end in ("served", "assumed")}
    reserved = {"split_partition", "quarantined"}
    assert set(first_cells(section)) == _labels() - fine - reserved


def test_the_page_on_crash_safety_lists_every_entry_of_the_journal() -> None:
    """By the word in the file that tells one from the others."""
    section = section_of(DOCS / "explanation" / "crash-safety.md", "## What the journal holds")
    source = (SOURCE / "_ledger.py").read_text("utf-8")
    words = re.findall(r'^ +body = \{\s*"(\w+)"', source, re.MULTILINE)
    assert words
    assert sorted(first_cells(section)) == sorted(words)


def _parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the parser of each command, and that of none."""
    parser = command_line._parser()
    yield "", parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def test_the_command_line_page_lists_every_option() -> None:
    """Of every command; and no option that is not there."""
    page = DOCS / "reference" / "command-line.md"
    parsers = dict(_parsers())
    assert set(re.findall(r"^## `filesync (\w+)`$", page.read_text("utf-8"), re.MULTILINE)) == (
        set(parsers) - {""}
    )
    for command, parser in parsers.items():
        section = (
            section_of(page, f"## `filesync {command}`")
            if command
            else section_of(page, "# Command line").partition("\n## ")[0]
        )
        named = {name.split()[0] for name in first_cells(section)}
        options = set()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                continue
            if command and isinstance(action, argparse._HelpAction):
                continue  # Told once, for all.
            options |= set(action.option_strings) or {str(action.metavar)}
            if action.choices is not None:
                assert set(action.choices) <= set(CELL.findall(section))
        assert named == options, command


def test_the_command_line_page_lists_every_exit_status() -> None:
    """The numbers of the code, with a meaning each."""
    section = section_of(DOCS / "reference" / "command-line.md", "## Exit statuses")
    rows = re.findall(r"^\| (\d+) \| \S.* \|$", section, re.MULTILINE)
    tree = ast.parse((SOURCE / "__main__.py").read_text("utf-8"))
    statuses = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, int)
        and not isinstance(node.value.value, bool)
    ]
    assert [int(row) for row in rows] == sorted(statuses) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "name",
    [
        "filesync",
        "filesync.exceptions",
        "filesync.transport",
        "filesync.producer",
        "filesync.daemon",
        "filesync.runtime",
        "filesync.testing",
        pytest.param("filesync_confluent_kafka", marks=needs_confluent),
    ],
)
def test_the_api_page_lists_every_public_name(name: str) -> None:
    """Each once, under its module; and no name that is not public."""
    section = section_of(DOCS / "reference" / "api.md", f"## `{name}`")
    names = first_cells(section)
    assert sorted(names) == importlib.import_module(name).__all__
