"""A sender's name becomes a path below files-dir, or is refused with a reason."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from filesync._model import Kind, Target
from filesync._names import OWN_DIRECTORY, OWN_SUFFIXES, Naming
from filesync._settings import FileRule
from filesync.exceptions import RecordError, RefusedByPolicyError, RefusedNameError
from strategies import file_names, names

ROOT = "/files"

#: The longest thing that is ever put behind a name.
LONGEST_SUFFIX = ".backup.tmp"

#: A letter of two bytes, as a message shows it.
E_ACUTE = "\\xe9"


def target(name: str, *rules: FileRule, files_dir: str = ROOT) -> Target:
    """Return what *name* stands for; without *rules* the suffix gives the kind."""
    return Naming(files_dir=files_dir, rules=rules or None).target(name)


def refusal(name: str, *, files_dir: str = ROOT) -> str:
    """Return why *name* is refused."""
    with pytest.raises(RefusedNameError) as caught:
        target(name, files_dir=files_dir)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "relative"),
    [
        pytest.param("a", "a", id="one-letter"),
        pytest.param("zones/eu/a.rpz", "zones/eu/a.rpz", id="in-directories"),
        pytest.param("/files/a.rpz", "a.rpz", id="absolute-inside"),
        pytest.param("/files/zones/a.rpz", "zones/a.rpz", id="absolute-inside-a-directory"),
        pytest.param("..a", "..a", id="starts-with-dots"),
        pytest.param("a..", "a..", id="ends-with-dots"),
        pytest.param("...", "...", id="three-dots"),
        pytest.param(".hidden", ".hidden", id="hidden"),
        pytest.param("-rf", "-rf", id="starts-with-a-hyphen"),
        pytest.param(" a b ", " a b ", id="spaces"),
        pytest.param("a.tmp.rpz", "a.tmp.rpz", id="our-suffix-in-the-middle"),
        pytest.param("tmp", "tmp", id="our-suffix-without-its-dot"),
        pytest.param("filesync/a", "filesync/a", id="our-directory-without-its-dot"),
        pytest.param(".filesync2/a", ".filesync2/a", id="longer-than-our-directory"),
        pytest.param("a.TMP", "a.TMP", id="our-suffix-in-capitals"),
        pytest.param("файл.rpz", "файл.rpz", id="another-script"),
        pytest.param("\u00e9.rpz", "\u00e9.rpz", id="one-Unicode-form"),
        pytest.param("e\u0301.rpz", "e\u0301.rpz", id="the-other-Unicode-form"),
        pytest.param("a" * 244, "a" * 244, id="244-bytes"),
        pytest.param("\u00e9" * 122, "\u00e9" * 122, id="244-bytes-in-122-characters"),
        pytest.param(f"{'d' * 255}/a", f"{'d' * 255}/a", id="a-directory-of-255-bytes"),
    ],
)
def test_a_harmless_name_is_accepted(name: str, relative: str) -> None:
    """It is a path relative to files-dir, and is not changed otherwise."""
    assert target(name) == Target(name=relative, kind=Kind.DATA)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("", "a name has no part ''", id="empty"),
        pytest.param(".", "a name has no part '.'", id="dot"),
        pytest.param("..", "a name has no part '..'", id="dot-dot"),
        pytest.param("../x", "a name has no part '..'", id="climbs-out"),
        pytest.param("a/../x", "a name has no part '..'", id="climbs-inside"),
        pytest.param("a/..", "a name has no part '..'", id="climbs-at-the-end"),
        pytest.param("./a", "a name has no part '.'", id="dot-slash"),
        pytest.param("a//b", "a name has no part ''", id="two-slashes"),
        pytest.param("a/", "a name has no part ''", id="trailing-slash"),
        pytest.param("/", "'/' is outside files-dir (/files)", id="the-root"),
        pytest.param("//files/a", "'//files/a' is outside files-dir (/files)", id="slash-slash"),
        pytest.param("/etc/x", "'/etc/x' is outside files-dir (/files)", id="absolute-outside"),
        pytest.param("/files", "'/files' is outside files-dir (/files)", id="files-dir-itself"),
        pytest.param("/files2/a", "'/files2/a' is outside files-dir (/files)", id="a-namesake"),
        pytest.param("/files/", "a name has no part ''", id="files-dir-and-a-slash"),
        pytest.param("/files//etc/x", "a name has no part ''", id="absolute-in-absolute"),
        pytest.param("/files/../etc/x", "a name has no part '..'", id="absolute-climbs-out"),
        pytest.param("a\0b", "'a\\x00b' contains '\\x00'", id="NUL"),
        pytest.param("a\nb", "'a\\nb' contains '\\n'", id="newline"),
        pytest.param("a\rb", "'a\\rb' contains '\\r'", id="carriage-return"),
        pytest.param("a\tb", "'a\\tb' contains '\\t'", id="tab"),
        pytest.param("a\x1b[2J", "'a\\x1b[2J' contains '\\x1b'", id="escape"),
        pytest.param("a\x7f", "'a\\x7f' contains '\\x7f'", id="delete"),
        pytest.param("a\x85", "'a\\x85' contains '\\x85'", id="next-line"),
        pytest.param("a\u2028", "'a\\u2028' contains '\\u2028'", id="line-separator"),
        pytest.param("a\u2029", "'a\\u2029' contains '\\u2029'", id="paragraph-separator"),
        pytest.param("a\\b", "'a\\\\b' contains '\\\\'", id="backslash"),
        pytest.param("d\n/a", "'d\\n' contains '\\n'", id="newline-in-a-directory"),
        pytest.param("a\ud800", "'a\\ud800' contains '\\ud800'", id="half-a-surrogate-pair"),
        pytest.param("a.tmp", "'a.tmp' is a name that filesync uses itself", id="tmp"),
        pytest.param("a.backup", "'a.backup' is a name that filesync uses itself", id="backup"),
        pytest.param("a.chunks", "'a.chunks' is a name that filesync uses itself", id="chunks"),
        pytest.param(".tmp", "'.tmp' is a name that filesync uses itself", id="only-a-suffix"),
        pytest.param(
            "a.chunks/1", "'a.chunks' is a name that filesync uses itself", id="in-chunks"
        ),
        pytest.param(
            ".filesync/x", "'.filesync' is a name that filesync uses itself", id="our-directory"
        ),
        pytest.param(
            "/files/.filesync/journal",
            "'.filesync' is a name that filesync uses itself",
            id="our-directory-absolute",
        ),
        pytest.param(
            "d/.filesync",
            "'.filesync' is a name that filesync uses itself",
            id="our-directory-below",
        ),
        pytest.param("a" * 245, f"'{'a' * 80}'… is longer than 244 bytes", id="245-bytes"),
        pytest.param("a" * 300, f"'{'a' * 80}'… is longer than 255 bytes", id="300-bytes"),
        pytest.param(
            "\u00e9" * 122 + "a",
            f"'{E_ACUTE * 80}'… is longer than 244 bytes",
            id="245-bytes-in-123-characters",
        ),
        pytest.param(
            f"{'d' * 256}/a", f"'{'d' * 80}'… is longer than 255 bytes", id="a-long-directory"
        ),
        pytest.param(
            "\u00e9" * 128 + "/a",
            f"'{E_ACUTE * 80}'… is longer than 255 bytes",
            id="a-long-directory-in-128-characters",
        ),
    ],
)
def test_a_harmful_name_is_refused(name: str, expected: str) -> None:
    """What climbs, hides or collides is refused, and the reason says which part does."""
    assert refusal(name) == expected


@pytest.mark.parametrize(
    "name", ["a/" * 2_048 + "b", "a/" * 100_000 + "b", "\u00e9/" * 1_365 + "b"]
)
def test_a_name_longer_than_any_path_is_refused(name: str) -> None:
    """One record must not make a hundred thousand directories: Linux takes 4,095 bytes."""
    assert "is longer than" in refusal(name)


@pytest.mark.parametrize("letter", ["a", "\u00e9"])
@pytest.mark.parametrize("files_dir", ["/files", "/var/lib/" + "d" * 200, "/\u00e9"])
def test_the_longest_name_makes_a_path_that_linux_takes(letter: str, files_dir: str) -> None:
    """With files-dir before it and our suffix behind it; one byte more is refused."""
    longest = 4_095 - len(f"{files_dir}/{LONGEST_SUFFIX}".encode())
    directory = letter * 100 + "/"
    repeated = directory * ((longest - 1) // len(directory.encode()))
    fitting = repeated + "x" * (longest - len(repeated.encode()))
    assert target(fitting, files_dir=files_dir).name == fitting
    assert target(f"{files_dir}/{fitting}", files_dir=files_dir).name == fitting
    told = refusal(fitting + "x", files_dir=files_dir)
    assert told.endswith(f"is longer than {longest} bytes")


@pytest.mark.parametrize("files_dir", ["/files", "/files/", "/", "/var/lib/x.tmp"])
def test_files_dir_is_written_as_the_operator_likes(files_dir: str) -> None:
    """A trailing slash does not count, the root is a directory, our suffixes are good there."""
    inside = posixpath.join(files_dir, "d/a")
    assert target(inside, files_dir=files_dir) == Target(name="d/a", kind=Kind.DATA)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.json", Kind.CONFIG),
        ("a.yaml", Kind.CONFIG),
        ("a.yml", Kind.CONFIG),
        ("d/A.YamL", Kind.CONFIG),
        (".yml", Kind.CONFIG),
        ("a.rpz", Kind.DATA),
        ("a.yaml.rpz", Kind.DATA),
        ("a.yaml/b", Kind.DATA),
        ("yaml", Kind.DATA),
        ("a.conf", Kind.DATA),
        ("a.yamlx", Kind.DATA),
    ],
)
def test_the_suffix_gives_the_kind(name: str, kind: Kind) -> None:
    """Without a list, JSON and YAML in any case are configuration, all else is data."""
    assert target(name).kind is kind


def test_the_first_rule_that_matches_gives_the_kind() -> None:
    """A list is read in order, matched with the relative name, and case counts."""
    rules = (
        FileRule(match="lists/*.yaml", kind=Kind.DATA),
        FileRule(match="*.yaml", kind=Kind.CONFIG),
        FileRule(match="*.rpz", kind=Kind.DATA),
    )
    assert target("lists/a.yaml", *rules).kind is Kind.DATA
    assert target("/files/lists/deep/a.yaml", *rules).kind is Kind.DATA
    assert target("a.yaml", *rules).kind is Kind.CONFIG
    assert target("other/a.yaml", *rules).kind is Kind.CONFIG
    assert target("a.rpz", *rules).kind is Kind.DATA
    with pytest.raises(RefusedByPolicyError):
        target("a.RPZ", *rules)


def test_a_list_is_an_allow_list() -> None:
    """What no rule matches is refused by policy, with its relative name."""
    rule = FileRule(match="*.rpz", kind=Kind.DATA)
    with pytest.raises(RefusedByPolicyError) as caught:
        target("/files/d/a.conf", rule)
    assert str(caught.value) == "'d/a.conf' matches no pattern of filesync.files"


def test_an_empty_list_allows_nothing() -> None:
    """No rules are not the same as no list."""
    with pytest.raises(RefusedByPolicyError):
        Naming(files_dir=ROOT, rules=()).target("a.rpz")


def test_no_rule_allows_a_harmful_name() -> None:
    """Safety is judged before policy."""
    with pytest.raises(RefusedNameError):
        target("../a", FileRule(match="*", kind=Kind.DATA))


@pytest.mark.parametrize(("length", "shown"), [(80, f"'{'n' * 80}'"), (81, f"'{'n' * 80}'…")])
def test_a_name_is_shown_up_to_a_length(length: int, shown: str) -> None:
    """Eighty characters are enough to know which file it is."""
    with pytest.raises(RefusedByPolicyError) as caught:
        target("n" * length, FileRule(match="*.rpz", kind=Kind.DATA))
    assert str(caught.value) == f"{shown} matches no pattern of filesync.files"


@given(name=names())
@example(name="/files/" + "a/" * 300 + "..")
@example(name="\ud800")
def test_an_accepted_name_stays_below_the_root(name: str) -> None:
    """Joined and normalised it is itself, below the root, and none of our own files."""
    try:
        accepted = target(name)
    except RefusedNameError as exc:
        told = str(exc)
        assert len(told) < 1000
        assert told.isprintable()
        return
    path = posixpath.join(ROOT, accepted.name)
    assert posixpath.normpath(path) == path
    assert path.startswith(f"{ROOT}/")
    assert name in {accepted.name, path}
    for part in accepted.name.split("/"):
        assert part not in {"", ".", "..", OWN_DIRECTORY}
        assert not part.endswith(OWN_SUFFIXES)
        assert len(part.encode()) <= 255
        assert "\\" not in part
        assert "\0" not in part
        assert len(part.splitlines()) == 1
    assert len((posixpath.basename(path) + LONGEST_SUFFIX).encode()) <= 255


@given(name=file_names() | names(), files_dir=st.sampled_from(["/", "/files", "/a/b.tmp/"]))
def test_relative_and_absolute_names_mean_the_same_file(name: str, files_dir: str) -> None:
    """A file is one file, however it is named, and its target's name names it again."""
    naming = Naming(files_dir=files_dir)
    try:
        accepted = naming.target(name)
    except RecordError:
        return
    assert naming.target(accepted.name) == accepted
    assert naming.target(posixpath.join(files_dir, accepted.name)) == accepted
