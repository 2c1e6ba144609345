"""README and docs, as the tests read them: pages, blocks, sections, tables."""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path

import pytest

import filesync
from support.promises import is_promised

__all__ = [
    "CELL",
    "DOCS",
    "HEADING",
    "LINK",
    "PAGES",
    "ROOT",
    "SOURCE",
    "anchors",
    "blocks",
    "first_cells",
    "lines_of_code",
    "needs_confluent",
    "page_id",
    "prose",
    "section_of",
]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
SOURCE = Path(filesync.__file__).parent

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
CELL = re.compile(r"`([^`]+)`")

needs_confluent = pytest.mark.skipif(
    not is_promised("confluent-kafka", "confluent_kafka"),
    reason="this environment does not promise confluent-kafka",
)


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [body for name, body in FENCE.findall(text) if name == language]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of *page*."""
    slugs: dict[str, int] = {}
    found = set()
    for heading in HEADING.findall(prose(page)):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = slugs.get(slug, 0)
        slugs[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def section_of(page: Path, heading: str) -> str:
    """Return what *page* has between *heading* and the next heading of its level."""
    level = heading.partition(" ")[0]
    _, found, rest = f"\n{page.read_text('utf-8')}".partition(f"\n{heading}\n")
    assert found, f"{page}: no {heading!r}"
    return re.split(rf"^{level} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    """Return what the first cells of the tables in *text* hold in code, in order."""
    names: list[str] = []
    for line in text.splitlines():
        if line.startswith("|"):
            names += CELL.findall(line.split("|")[1])
    return names


def lines_of_code(path: Path) -> int:
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
