"""
How Sphinx makes the site of these pages: `tox run -e docs`.

The pages are written for GitHub, and their links lead somewhere there. What
only the site needs stands in them as a comment, which GitHub does not show::

    <!-- site
    ~~~{toctree}
    …
    ~~~
    -->
"""

from __future__ import annotations

import enum
import itertools
import re
import types
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "filesync"
version = release = version_of("kafka-filesync")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["changelog.d"]  # They become a part of the changelog: see below.

myst_heading_anchors = 6  # Named as on GitHub.
smartquotes_action = "D"  # Dashes; quotes stay as they are written.

html_theme = "furo"
html_title = f"filesync {version}"
html_copy_source = False
#: Editors find it at the same address after every build.
html_extra_path = ["reference/settings.schema.json"]
html_show_copyright = False

# The docstrings. A word in backquotes is the name of something.
default_role = "py:obj"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100
napoleon_attr_annotations = False  # The signature has them.
autodoc_type_aliases = {  # By their names in the source, what signatures call them.
    "ActionResult": "~filesync.daemon.ActionResult",
    "CheckResult": "~filesync.daemon.CheckResult",
    "Delivery": "~filesync.producer.Delivery",
    "Effect": "~filesync._effects.Effect",
    "Event": "~filesync._effects.Event",
    "fx.Effect": "~filesync._effects.Effect",
    "fx.Event": "~filesync._effects.Event",
    "Fault": "~filesync.transport.Fault",
    "Headers": "~filesync._model.Headers",
    "Matcher": "~filesync.transport.Matcher",
    "OpenTransport": "~filesync.testing.OpenTransport",
    "Outcome": "~filesync.Outcome",
}

nitpick_ignore_regex = [
    # The standard library is documented elsewhere, and a build asks no other site.
    ("py:class", r"collections\.abc\.\w+"),
    # Handed on unopened: a program that drives the engine does not look inside.
    ("py:class", r"filesync\._effects\.(Effect|Event)"),
    # Private, but a public signature or docstring names them.
    ("py:class", r"(filesync\._model\.)?Headers"),
    ("py:class", r"filesync\.runtime\._command\._Command"),
    ("py:class", r"filesync\.runtime\._contract\._reader\._Kind"),
    ("py:class", r"filesync\.runtime\._memory\._Topic"),
    ("py:class", r"filesync\.runtime\._posix\.Posix"),
    ("py:obj", r"filesync\._setting_checks\.(LOG_LEVELS|SASL_MECHANISMS|server_address)"),
]

_DOCS = Path(__file__).parent
_SITE_ONLY = re.compile(r"<!-- site\n(.*?\n)-->", re.DOTALL)
_LINK = re.compile(r"\]\((\.\./[^)#\s]+\.md)(?:#[^)\s]*)?\)")
_CITED = re.compile(r"docs/([\w/-]+)\.md")
_API_SECTION = re.compile(r"^## `([\w.]+)`\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_API_ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def setup(app: Sphinx) -> None:
    """Register what follows; Sphinx calls it."""
    app.connect("source-read", _prepare_page)
    app.connect("autodoc-skip-member", _judge_member)
    app.connect("autodoc-process-docstring", _mend_docstring, priority=400)  # Before napoleon.
    app.connect("autodoc-process-signature", _mend_signature)
    app.connect("missing-reference", _look_everywhere)


def _prepare_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make of a page for GitHub one for the site."""
    folder = (_DOCS / docname).parent

    def lead_out(link: re.Match[str]) -> str:
        """Hand over a page that is none of the site's, such as the README, as a file."""
        inside = (folder / link[1]).resolve().is_relative_to(_DOCS.resolve())
        return link[0] if inside else f"](path:{link[1]})"

    text = _LINK.sub(lead_out, _SITE_ONLY.sub(r"\n\1", source[0]))
    if docname == "changelog":
        fragments = sorted(
            (_DOCS / "changelog.d").iterdir(),
            key=lambda path: (path.suffixes, int(path.name.partition(".")[0])),
        )
        for path in (_DOCS / "changelog.d", *fragments):
            app.env.note_dependency(path)
        text = _insert_fragments(text, fragments)
    elif docname == "reference/api":
        text = _API_SECTION.sub(_link_names, text)
    source[0] = text


def _insert_fragments(changelog: str, fragments: list[Path]) -> str:
    """Return *changelog* with the sentences of *fragments*, by kind, where its mark is."""
    before, after = changelog.split("<!-- unreleased -->\n")
    lines = []
    for kind, paths in itertools.groupby(fragments, lambda path: path.suffixes[0][1:]):
        lines += [f"### {kind.capitalize()}", ""]
        for path in paths:
            lines += [f"- {line}" for line in path.read_text(encoding="utf-8").splitlines()]
        lines.append("")
    return "\n".join([before, "## Not released yet", "", *lines, after])


def _link_names(section: re.Match[str]) -> str:
    """Return one section of the API's table, each name leading to its docstring."""
    module = section[1]
    if not (_DOCS / f"reference/api/{module}.rst").exists():
        return section[0]  # An adapter: it needs its driver to be imported.
    return _API_ROW.sub(rf"| {{py:obj}}`\1 <{module}.\1>` |", section[0])


def _judge_member(
    _app: Sphinx, _what: str, _name: str, member: object, _skip: object, _options: object
) -> bool | None:
    """Show the members of an enumeration without docstring too; show no field twice."""
    if isinstance(member, enum.Enum):
        return False
    if (getattr(member, "__doc__", None) or "").startswith("Alias for field number "):
        return True  # Of a named tuple, whose docstring lists it.
    return None


def _mend_docstring(
    _app: Sphinx, what: str, _name: str, member: object, _options: object, lines: list[str]
) -> None:
    """Say what a union is; lead to cited pages; before a colon napoleon shall see no type."""
    lines[:] = [_CITED.sub(r":doc:`\g<0> </\1>`", line) for line in lines]
    if isinstance(member, types.UnionType):
        lines[:] = [f"Any of {', '.join(f'`{one.__name__}`' for one in member.__args__)}."]
    elif what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]


def _mend_signature(
    _app: Sphinx,
    _what: str,
    _name: str,
    member: object,
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Write aliases and functions by their names; what nobody calls takes no arguments."""

    def mended(text: str | None) -> str | None:
        text = text and re.sub(r"TypeAliasForwardRef\('([~.\w]+)'\)", r"\1", text)
        text = text and re.sub(r"<(?:built-in )?function (\w+)(?: at \w+)?>", r"\1", text)
        return text and text.replace(" = NOTHING", " = ...")  # attrs makes a new one.

    if getattr(member, "_is_protocol", False):
        return "", None
    return mended(signature), mended(returns)


def _look_everywhere(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: Element
) -> Element | None:
    """Find a public name that a docstring uses as if it had been imported."""
    if node.get("refdomain") != "py" or node["reftype"] not in {"class", "obj"}:
        return None
    node["refspecific"] = True
    python = env.domains.python_domain
    return python.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], node["reftarget"], node, contnode
    )
