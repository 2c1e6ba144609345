"""The site of the documentation: it builds, leads everywhere, and loads nothing from elsewhere."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.site

ROOT = Path(__file__).parents[2]

_SITE_ONLY = re.compile(r"^<!-- site\n(.*?)^-->$", re.DOTALL | re.MULTILINE)
_VOID = {
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "wbr",
}
_LOADING_RELS = {"icon", "manifest", "modulepreload", "preload", "stylesheet"}
_LOADING_TAGS = {"audio", "embed", "iframe", "img", "script", "source", "video"}


class _Page(HTMLParser):
    """One page as a browser takes it: what it links to in its sidebar, loads, and names."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.navigation: list[str] = []
        self.ids: set[str] = set()
        self.text = ""
        self._depth = 0  # Below the tree in the sidebar; 0 is outside.
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = {name: value or "" for name, value in attrs}
        self.ids.add(got.get("id", ""))
        if tag in _LOADING_TAGS and "src" in got:
            self.loaded.append(got["src"])
        if tag == "link" and _LOADING_RELS & set(got.get("rel", "").split()):
            self.loaded.append(got["href"])
        if tag not in _VOID and (self._depth or "sidebar-tree" in got.get("class", "").split()):
            self._depth += 1
        if tag == "a" and self._depth:
            self.navigation.append(got["href"])

    def handle_endtag(self, tag: str) -> None:
        if self._depth and tag not in _VOID:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass
class _Site:
    """A copy of the pages in *root*/docs, and in *built* the site that was first made of it."""

    root: Path
    build: Callable[[], subprocess.CompletedProcess[str]]
    first: subprocess.CompletedProcess[str] = field(init=False)
    built: Path = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.build()
        self.built = shutil.copytree(self.root / "site", self.root / "built")

    def page(self, name: str) -> _Page:
        return _Page(self.built / f"{name}.html")


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> _Site:
    """Build a copy of the pages as tox does; what they may lead to stays where it was."""
    root = tmp_path_factory.mktemp("site")
    for path in ROOT.iterdir():
        if path.name != "docs":
            (root / path.name).symlink_to(path)
    shutil.copytree(ROOT / "docs", root / "docs")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (program, *options), _tests = project["tool"]["tox"]["env"]["docs"]["commands"]
    assert program == "sphinx-build"
    options.remove("--fresh-env")  # A second build reads what has changed, no more.
    command = [sys.executable, "-m", "sphinx", *options]
    command = [word.format(env_tmp_dir=root, work_dir=root) for word in command]

    def build() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    return _Site(root, build)


@pytest.fixture(name="edit")
def _edit(site: _Site) -> Iterator[Callable[[str, str, str], None]]:
    """Give a function that replaces text in one page of the copy; what was there comes back."""
    edited: dict[Path, str] = {}

    def edit(name: str, old: str, new: str) -> None:
        path = site.root / "docs" / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        edited[path] = text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    yield edit
    for path, text in edited.items():
        path.write_text(text, encoding="utf-8")


def test_the_site_builds_without_a_warning(site: _Site) -> None:
    """From the pages and the docstrings as they are."""
    assert site.first.stderr == ""
    assert site.first.returncode == 0


@pytest.mark.parametrize(
    ("page", "old", "new", "complaint"),
    [
        pytest.param(
            "explanation/architecture.md",
            "](../how-to/embed.md)",
            "](../how-to/gone.md)",
            "'../how-to/gone.md'",
            id="page",
        ),
        pytest.param(
            "reference/api.md", "publish.md#from-python)", "publish.md#gone)", "'gone'", id="anchor"
        ),
        pytest.param(
            "explanation/architecture.md",
            "](architecture.svg)",
            "](gone.svg)",
            "gone.svg",
            id="image",
        ),
        pytest.param(
            "reference/api.md", "| `Engine` |", "| `Gone` |", "filesync.Gone", id="docstring"
        ),
        pytest.param(
            "index.md", "\nexplanation/delivery\n", "\n", "explanation/delivery.md", id="navigation"
        ),
    ],
)
def test_what_leads_nowhere_fails_the_build(
    site: _Site,
    edit: Callable[[str, str, str], None],
    page: str,
    old: str,
    new: str,
    complaint: str,
) -> None:
    """A missing page, heading, image or name, a page in no list: one warning, that names it."""
    edit(page, old, new)
    built = site.build()
    (warning,) = re.findall("^.*WARNING: .*$", built.stderr, re.MULTILINE)
    assert complaint in warning
    assert built.returncode != 0


def test_every_page_is_in_the_navigation(site: _Site) -> None:
    """Those of the docs and those of the API; a fragment of the changelog is no page."""
    docs = ROOT / "docs"
    pages = {
        str(path.relative_to(docs).with_suffix(".html"))
        for path in (*docs.rglob("*.md"), *docs.rglob("*.rst"))
        if path.parent.name != "changelog.d"
    }
    led_to = {link.partition("#")[0] for link in site.page("index").navigation}
    assert pages - {"index.html"} <= led_to


def test_the_overview_lists_what_the_navigation_has() -> None:
    """The same pages in the same order: the list is for GitHub, the comments for the site."""
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    trees = "".join(_SITE_ONLY.findall(text))
    listed = re.findall(r"\]\(([\w/-]+)\.md\)", _SITE_ONLY.sub("", text))
    assert re.findall(r"^[\w/-]+$", trees, re.MULTILINE) == listed


def test_nothing_is_loaded_from_elsewhere(site: _Site) -> None:
    """Every script, style sheet, image and font is a file of the site itself."""
    loaded = 0
    for path in site.built.rglob("*.html"):
        for link in _Page(path).loaded:
            target = urlsplit(link)
            assert not target.scheme, f"{path}: {link}"
            assert not target.netloc, f"{path}: {link}"
            assert (path.parent / unquote(target.path)).is_file(), f"{path}: {link}"
            loaded += 1
    assert loaded
    for path in site.built.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(\s*[\"']?(?:\w+:)?//", text), path


def test_the_diagram_needs_no_other_file_and_says_what_it_shows() -> None:
    """It is shown as an image, which may load nothing; who cannot see it has its words."""
    text = (ROOT / "docs" / "explanation" / "architecture.svg").read_text(encoding="utf-8")
    assert re.search(r"<title [^>]*>\S", text)
    assert re.search(r"<desc [^>]*>\s*\S", text)
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<(script|image|use|foreignObject)|href|@import", text)


@pytest.mark.parametrize(
    "name",
    re.findall(
        r"^## `(filesync(?:\.\w+)?)`$",
        (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    ),
)
def test_every_public_name_has_its_docstring_in_the_site(site: _Site, name: str) -> None:
    """On the page of its module, where the table of the API leads."""
    module = importlib.import_module(name)
    ids = site.page(f"reference/api/{name}").ids
    assert {f"{name}.{public}" for public in module.__all__} <= ids


def test_the_changelog_has_every_fragment(site: _Site) -> None:
    """Each sentence once, under a heading for its kind."""
    page = site.page("changelog")
    assert "not-released-yet" in page.ids
    for path in (ROOT / "docs" / "changelog.d").iterdir():
        assert path.name.split(".")[1] in page.ids
        for line in path.read_text(encoding="utf-8").splitlines():
            assert page.text.count(line.replace("`", "")) == 1, line
