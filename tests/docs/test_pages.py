"""README and docs: links, marked commands, settings, Python blocks, the changelog."""

from __future__ import annotations

import re
import runpy
import warnings
from pathlib import Path
from urllib.parse import unquote

import pytest

from filesync import read_settings
from support.pages import DOCS, HEADING, LINK, PAGES, ROOT, SOURCE, anchors, blocks, page_id, prose

_CITED = re.compile(r"(docs/[a-z/-]+\.md)((?:(?:,| and) \"[^\"]+\")*)")


# Links


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that is there."""
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / unquote(path)).resolve() if path else page
        assert there.exists(), link
        assert there.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(there), link


def test_every_page_can_be_reached() -> None:
    """From the overview, by links; a fragment of the changelog need not."""
    seen: set[Path] = set()
    todo = [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for link in LINK.findall(prose(page)):
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
            assert heading in HEADING.findall(prose(ROOT / page)), heading


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
        pytest.param(page, text, id=f"{page_id(page)}-{number}")
        for page in PAGES
        for number, text in enumerate(blocks(page, "yaml"))
    ],
)
def test_every_settings_example_is_accepted(page: Path, text: str) -> None:
    """Whole files and single sections alike; and the host name is the only thing that is added."""
    settings = read_settings(text, source=page.name, default_hostname="ns1.example")
    assert settings.source == page.name


# Programs


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, id=f"{page_id(page)}-{number}")
        for page in PAGES
        for number, code in enumerate(blocks(page, "python"))
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


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_python_block_compiles(page: Path) -> None:
    """Without a warning."""
    for code in blocks(page, "python"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compile(code, str(page), "exec")


def test_a_fragment_of_the_changelog_has_a_sentence_on_every_line() -> None:
    """Its name is an issue and a kind that the changelog knows."""
    kinds = re.findall(
        r"`(added|changed|fixed|removed)`", (DOCS / "changelog.md").read_text("utf-8")
    )
    for path in (DOCS / "changelog.d").iterdir():
        assert re.fullmatch(rf"\d+\.({'|'.join(kinds)})\.md", path.name), path.name
        for line in path.read_text("utf-8").splitlines():
            assert re.fullmatch(r"[A-Z].*[^.]\.", line), line
