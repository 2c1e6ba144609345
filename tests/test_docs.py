"""README and docs hold what they promise: links, settings, programs, tables, commands."""

from __future__ import annotations

import argparse
import ast
import asyncio
import contextlib
import importlib
import os
import re
import runpy
import signal
import subprocess
import sys
import tokenize
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

import filesync
from filesync import (
    ActionEnded,
    DaemonSettings,
    Ending,
    KafkaSettings,
    Outcome,
    Schedule,
    Settings,
    TransferEnded,
    _outcomes,
    read_settings,
)
from filesync import (
    __main__ as command_line,
)
from filesync.daemon import ActionKind, Served
from filesync.testing import MemoryBroker, MemoryTransport
from support.waiting import eventually

if TYPE_CHECKING:
    from filesync_confluent_kafka.embedded import EmbeddedBroker

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
PROGRAMS = [DOCS / "how-to" / f"embed_{name}.py" for name in ("receiver", "engine")]
SOURCE = Path(filesync.__file__).parent

TOPIC = "knot-resolver"
HOST = "ns1.example"
DATA = b"bad.example CNAME .\n"
NAME = "block.rpz"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_CITED = re.compile(r"(docs/[a-z/-]+\.md)((?:(?:,| and) \"[^\"]+\")*)")
_CELL = re.compile(r"`([^`]+)`")


def _promises(transport: str) -> bool:
    return transport in os.environ.get("FILESYNC_TRANSPORTS", "memory").split(",")


needs_confluent = pytest.mark.skipif(
    not _promises("confluent-kafka"),
    reason="this environment does not promise confluent-kafka",
)


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [body for name, body in _FENCE.findall(text) if name == language]


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of *page*."""
    slugs: dict[str, int] = {}
    found = set()
    for heading in _HEADING.findall(_prose(page)):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = slugs.get(slug, 0)
        slugs[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def _section(page: Path, heading: str) -> str:
    """Return what *page* has between *heading* and the next heading of its level."""
    level = heading.partition(" ")[0]
    _, found, rest = f"\n{page.read_text('utf-8')}".partition(f"\n{heading}\n")
    assert found, f"{page}: no {heading!r}"
    return re.split(rf"^{level} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def _first_cells(text: str) -> list[str]:
    """Return what the first cells of the tables in *text* hold in code, in order."""
    names: list[str] = []
    for line in text.splitlines():
        if line.startswith("|"):
            names += _CELL.findall(line.split("|")[1])
    return names


# Links


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that is there."""
    for link in _LINK.findall(_prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / unquote(path)).resolve() if path else page
        assert there.exists(), link
        assert there.is_relative_to(ROOT), link
        if anchor:
            assert anchor in _anchors(there), link


def test_every_page_can_be_reached() -> None:
    """From the overview, by links; a fragment of the changelog need not."""
    seen: set[Path] = set()
    todo = [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for link in _LINK.findall(_prose(page)):
            path = (page.parent / link.partition("#")[0]).resolve()
            if path.is_file():
                todo.append(path)
    pages = {page for page in DOCS.rglob("*.md") if page.parent.name != "changelog.d"}
    assert pages <= seen


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.name)
def test_every_page_that_the_source_cites_is_there(path: Path) -> None:
    """With the headings that it names."""
    text = re.sub(r"\n *(?:#: ?)?", " ", path.read_text(encoding="utf-8"))
    for page, headings in _CITED.findall(text):
        assert (ROOT / page).is_file(), page
        for heading in re.findall(r'"([^"]+)"', headings):
            assert heading in _HEADING.findall(_prose(ROOT / page)), heading


# Commands


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("demo", ".venv/bin/pip install --quiet '.[confluent-kafka]' && .venv/bin/filesync demo"),
        ("test", ".venv/bin/pip install --quiet tox && .venv/bin/tox run -e quick"),
    ],
)
def test_readme_has_each_marked_command_once(name: str, command: str) -> None:
    """One line in a block of its own, right after its mark: `.ci/run` does what it says."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    (at,) = [number for number, line in enumerate(lines) if line == f"<!-- ci: {name} -->"]
    assert lines[at + 1].startswith("```")
    assert lines[at + 2] == f"python3 -m venv .venv && {command}"
    assert lines[at + 3] == "```"


def test_readme_says_which_distribution_is_ours() -> None:
    """The import name belongs to a stranger on PyPI; the extra is the one that is declared."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install 'kafka-filesync[confluent-kafka]'" in text
    assert "PyPI's `filesync` is a different project" in text
    assert "pip install filesync" not in text


# Settings


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param(page, text, id=f"{_id(page)}-{number}")
        for page in PAGES
        for number, text in enumerate(_blocks(page, "yaml"))
    ],
)
def test_every_settings_example_is_accepted(page: Path, text: str) -> None:
    """Whole files and single sections alike; and the host name is the only thing that is added."""
    settings = read_settings(text, source=page.name, default_hostname=HOST)
    assert settings.source == page.name


# Programs


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, id=f"{_id(page)}-{number}")
        for page in PAGES
        for number, code in enumerate(_blocks(page, "python"))
        if code.startswith("# run\n")
    ],
)
def test_what_is_marked_to_run_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a program of its own, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "example.py"
    path.write_text(code, encoding="utf-8")
    runpy.run_path(str(path), run_name="__main__")


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_every_python_block_compiles(page: Path) -> None:
    """Without a warning."""
    for code in _blocks(page, "python"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compile(code, str(page), "exec")


def _lines_of_code(path: Path) -> int:
    """Count lines that are not blank, comment or docstring."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            match node.body[0]:
                case ast.Expr(value=ast.Constant(value=str())) as text:
                    documented |= set(range(text.lineno, (text.end_lineno or 0) + 1))
                case _:
                    pass
    silent = {
        tokenize.COMMENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
        tokenize.INDENT,
        tokenize.NEWLINE,
        tokenize.NL,
    }
    code: set[int] = set()
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type not in silent:
                code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - documented)


@pytest.mark.parametrize("path", PROGRAMS, ids=_id)
def test_an_embedding_program_is_short_and_the_page_shows_it(path: Path) -> None:
    """At most 20 lines of code; the page has the very text of the file."""
    assert _lines_of_code(path) <= 20
    shown = _blocks(DOCS / "how-to" / "embed.md", "python")
    assert path.read_text(encoding="utf-8") in shown


def _settings(folder: Path, server: str = "localhost:9092") -> Settings:
    """Return settings of a daemon that notes how it was asked, one word each."""
    note = ["sh", "-c", 'echo "$0" >> "$1"']
    log = str(folder.parent / "actions")
    return Settings(
        hostname=HOST,
        kafka=KafkaSettings(topic=TOPIC, servers=(server,), files_dir=str(folder)),
        daemon=DaemonSettings(
            options={"reload": [*note, "reload", log], "renew": [*note, "renew", log]}
        ),
        schedule=Schedule(quiet=0.0),
    )


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return an empty files-dir."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture(name="broker")
def _broker() -> MemoryBroker:
    """Return a log that holds one file for this host."""
    broker = MemoryBroker()
    broker.create_topic(TOPIC)
    headers = [("hostname", HOST.encode()), ("files-name", NAME.encode())]
    broker.publish(TOPIC, DATA, headers=headers)
    return broker


@pytest.fixture(name="embedded")
def _embedded() -> Iterator[EmbeddedBroker]:
    """Return a Kafka broker that holds one file for this host."""
    from filesync_confluent_kafka.embedded import EmbeddedBroker  # noqa: PLC0415 - needs the driver

    with EmbeddedBroker() as embedded:
        embedded.create_topic(TOPIC)
        headers = [("hostname", HOST.encode()), ("files-name", NAME.encode())]
        embedded.publish(TOPIC, [(NAME.encode(), DATA, headers)])
        yield embedded


def _receive(main: Callable[..., Any], settings: Settings, transport: object) -> list[Outcome]:
    """Run the asyncio program until the daemon was asked, then cancel it."""
    outcomes: list[Outcome] = []

    async def run() -> None:
        ended = asyncio.Event()

        def tell(outcome: Outcome) -> None:
            asyncio.get_running_loop()  # It is called in the loop, not in the receiver's thread.
            outcomes.append(outcome)
            if isinstance(outcome, ActionEnded):
                ended.set()

        receiving = asyncio.create_task(main(settings, transport, tell))
        await asyncio.wait_for(ended.wait(), 30)
        receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await receiving

    asyncio.run(run())
    return outcomes


def _drive(main: Callable[..., Any], settings: Settings, transport: object) -> list[Outcome]:
    """Run the program with a loop of its own to its end."""
    outcomes: list[Outcome] = []
    main(settings, transport, outcomes.append)
    return outcomes


HOW = dict(zip(PROGRAMS, (_receive, _drive), strict=True))


def _was_received(folder: Path, outcomes: list[Outcome]) -> None:
    assert (folder / NAME).read_bytes() == DATA
    assert (folder.parent / "actions").read_text(encoding="utf-8") == "renew\n"
    ended = [outcome for outcome in outcomes if isinstance(outcome, TransferEnded)]
    assert [(outcome.ending, outcome.name) for outcome in ended] == [(Ending.COMMITTED, NAME)]
    assert sum(isinstance(outcome, ActionEnded) for outcome in outcomes) == 1
    # Everything is released: another one may have it.
    with contextlib.closing(_Lock(folder)) as lock:
        assert lock.taken


class _Lock:
    """Tries to take files-dir, as a second filesync would."""

    def __init__(self, folder: Path) -> None:
        from filesync.runtime._posix import Posix  # noqa: PLC0415 - only here.
        from filesync.runtime._root import Root  # noqa: PLC0415

        self._root = Root(str(folder), Posix())
        self.taken = True

    def close(self) -> None:
        """Let it go."""
        self._root.close()


@pytest.mark.parametrize("path", PROGRAMS, ids=_id)
def test_an_embedding_program_receives_from_memory(
    path: Path, folder: Path, broker: MemoryBroker
) -> None:
    """The file is in place, the daemon was asked once, and nothing is left behind."""
    main = runpy.run_path(str(path))["main"]
    outcomes = HOW[path](main, _settings(folder), MemoryTransport(broker, TOPIC))
    _was_received(folder, outcomes)


@needs_confluent
@pytest.mark.parametrize("path", PROGRAMS, ids=_id)
def test_an_embedding_program_receives_from_kafka(
    path: Path, folder: Path, embedded: EmbeddedBroker
) -> None:
    """The same, by the Kafka protocol."""
    from filesync_confluent_kafka import open_transport  # noqa: PLC0415 - needs the driver

    main = runpy.run_path(str(path))["main"]
    settings = _settings(folder, embedded.address)
    _was_received(folder, HOW[path](main, settings, open_transport(settings)))


@needs_confluent
@pytest.mark.parametrize("path", PROGRAMS, ids=_id)
def test_an_embedding_program_runs_as_it_says(
    path: Path, folder: Path, embedded: EmbeddedBroker, tmp_path: Path
) -> None:
    """With a settings file on its standard input; one ends by itself, the other by Ctrl-C."""
    text = (
        f"hostname: {HOST}\n"
        f"kafka: {{topic: {TOPIC}, server: '{embedded.address}', files-dir: {folder}}}\n"
        "filesync: {schedule: {quiet: 0}}\n"
    )
    settings = tmp_path / "settings.yaml"
    settings.write_text(text, encoding="utf-8")
    printed = tmp_path / "printed"
    with settings.open("rb") as stdin, printed.open("wb") as stdout:
        program = [sys.executable, "-u", str(path)]
        process = subprocess.Popen(program, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: b"renew of " in printed.read_bytes(), 60, what="the renew")
        if path.stem == "embed_receiver":
            process.send_signal(signal.SIGINT)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
    assert (folder / NAME).read_bytes() == DATA
    if path.stem == "embed_engine":
        assert process.returncode == 0


# The tutorial


def _saved_as(name: str, folder: Path) -> Path:
    """Save the tutorial's program *name* in *folder*."""
    (code,) = [
        code for code in _blocks(DOCS / "tutorial.md", "python") if code.startswith(f"# {name}\n")
    ]
    path = folder / name
    path.write_text(code, encoding="utf-8")
    return path


def _fields(line: str) -> list[tuple[str, str]]:
    """Return the fields of a line of the log, without what differs from run to run."""
    line = re.sub(r"\[\d\]@\d+", "[0]@0", line)
    fields = re.findall(r'(\w+)=("[^"]*"|\S+)', line)
    return [(key, "" if key == "time" else value) for key, value in fields]


@pytest.fixture(name="tutorial_broker")
def _tutorial_broker(tmp_path: Path) -> Iterator[str]:
    """Run the tutorial's broker; return the address that it prints."""
    program = [sys.executable, str(_saved_as("broker.py", tmp_path))]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("\n", timeout=30)
    assert process.returncode == 0


def test_the_tutorial_s_sender_has_15_lines_and_four_headers(tmp_path: Path) -> None:
    """It knows nothing of filesync."""
    path = _saved_as("send.py", tmp_path)
    text = path.read_text(encoding="utf-8")
    assert _lines_of_code(path) <= 15
    assert "filesync" not in text
    for header in ("hostname", "files-name", "total-chunks", "chunk-index"):
        assert text.count(f'"{header}"') == 1


@needs_confluent
def test_the_tutorial_works_as_it_is_told(
    tmp_path: Path, folder: Path, tutorial_broker: str
) -> None:
    """Check, run, send a block list, then something broken, stop: the log is as the page shows."""
    page = DOCS / "tutorial.md"
    (text,) = _blocks(page, "yaml")
    text = text.replace("localhost:9092", tutorial_broker).replace("/srv/files", str(folder))
    settings = tmp_path / "settings.yaml"
    settings.write_text(text, encoding="utf-8")
    told, *logged = _blocks(page, "text")
    told = told.replace("localhost:9092", tutorial_broker).replace("/srv/files", str(folder))
    lines = [line for block in logged for line in block.splitlines()]
    send = [sys.executable, str(_saved_as("send.py", tmp_path)), tutorial_broker, TOPIC, HOST]
    ours = [sys.executable, "-m", "filesync"]

    checked = subprocess.run(
        [*ours, "check", "settings.yaml"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert checked.stdout == told

    log = tmp_path / "log"
    with log.open("wb") as file:
        command = [*ours, "run", "-c", str(settings)]
        receiver = subprocess.Popen(command, stderr=file)
    try:
        _wait_for_line(log, "event=caught_up")
        for shell in _blocks(page, "sh"):
            if shell.startswith(("seq", "printf")):  # The first line makes the file.
                make = shell.splitlines()[0]
                subprocess.run(make, shell=True, cwd=tmp_path, check=True)
                subprocess.run([*send, make.split()[-1]], cwd=tmp_path, check=True, timeout=60)
                event = "event=renew_assumed" if shell.startswith("seq") else "event=invalid"
                _wait_for_line(log, event)
        receiver.send_signal(signal.SIGINT)
        assert receiver.wait(30) == 0
    finally:
        receiver.kill()
        receiver.wait()
    written = log.read_text(encoding="utf-8").splitlines()
    kept = [line for line in written if not re.search("event=(health_changed|caught_up)", line)]
    assert [_fields(line) for line in kept] == [_fields(line) for line in lines]
    assert (folder / NAME).read_bytes() == (tmp_path / NAME).read_bytes()
    assert not (folder / "resolver.yaml").exists()


def _wait_for_line(log: Path, text: str) -> None:
    eventually(lambda: text in log.read_text(encoding="utf-8"), 60, what=text)


# Reference pages


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
    names = _first_cells(outcomes)
    assert len(names) == len(set(names))
    assert set(names) == _labels()
    assert set(_first_cells(counters)) == _counters()


def test_the_outcomes_page_says_what_is_fine_and_what_is_reserved() -> None:
    """As the code has it: a reserved ending is one that nothing in the source uses."""
    source = "".join(
        path.read_text("utf-8") for path in SOURCE.rglob("*.py") if path.name != "_outcomes.py"
    )
    section = _section(DOCS / "reference" / "outcomes.md", "## How a transfer ends")
    rows = {_CELL.findall(line)[0]: line for line in section.splitlines() if line[:3] == "| `"}
    assert list(rows) == [ending.value for ending in Ending]
    for ending in Ending:
        fine, meaning = (cell.strip() for cell in rows[ending.value].split("|")[2:4])
        assert (fine == "yes") == (ending in _outcomes._FINE)
        # `Ending.MALFORMED` and the like; the engine's own module defines them.
        used = f"Ending.{ending.name}" in source
        assert meaning.startswith("Reserved:") != used, ending


def test_how_to_operate_tells_what_to_do_about_every_label() -> None:
    """But for those that are reserved, and for actions that are fine."""
    section = _section(DOCS / "how-to" / "operate.md", "## What each outcome wants you to do")
    fine = {f"{kind.value}_{end}" for kind in ActionKind for end in ("served", "assumed")}
    reserved = {"split_partition", "quarantined"}
    assert set(_first_cells(section)) == _labels() - fine - reserved


def test_the_page_on_crash_safety_lists_every_entry_of_the_journal() -> None:
    """By the word in the file that tells one from the others."""
    section = _section(DOCS / "explanation" / "crash-safety.md", "## What the journal holds")
    source = (SOURCE / "_ledger.py").read_text("utf-8")
    words = re.findall(r'^ +body = \{\s*"(\w+)"', source, re.MULTILINE)
    assert words
    assert sorted(_first_cells(section)) == sorted(words)


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
            _section(page, f"## `filesync {command}`")
            if command
            else _section(page, "# Command line").partition("\n## ")[0]
        )
        named = {name.split()[0] for name in _first_cells(section)}
        options = set()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                continue
            if command and isinstance(action, argparse._HelpAction):
                continue  # Told once, for all.
            options |= set(action.option_strings) or {str(action.metavar)}
            if action.choices is not None:
                assert set(action.choices) <= set(_CELL.findall(section))
        assert named == options, command


def test_the_command_line_page_lists_every_exit_status() -> None:
    """The numbers of the code, with a meaning each."""
    section = _section(DOCS / "reference" / "command-line.md", "## Exit statuses")
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
    section = _section(DOCS / "reference" / "api.md", f"## `{name}`")
    names = _first_cells(section)
    assert sorted(names) == importlib.import_module(name).__all__


def test_a_fragment_of_the_changelog_has_a_sentence_on_every_line() -> None:
    """Its name is an issue and a kind that the changelog knows."""
    kinds = re.findall(
        r"`(added|changed|fixed|removed)`", (DOCS / "changelog.md").read_text("utf-8")
    )
    for path in (DOCS / "changelog.d").iterdir():
        assert re.fullmatch(rf"\d+\.({'|'.join(kinds)})\.md", path.name), path.name
        for line in path.read_text("utf-8").splitlines():
            assert re.fullmatch(r"[A-Z].*[^.]\.", line), line


def test_the_proof_of_an_example_is_what_the_class_says() -> None:
    """`Served` shows its proof: the page on embedding relies on it."""
    assert str(Served(proof="seen")) == "served (seen)"
