"""
Which file names may be written, and what kind of file each one is.

Theory. Names come from the log, so anybody who may write to the topic chooses
them. A name is either refused here, as text, or it is a path relative to
files-dir in which nothing climbs, hides or collides with our own files. What
text cannot show (a symbolic link, a mount) is refused by `runtime`, which
resolves the same parts one by one from a directory descriptor.

Source: docs/reference/wire-format.md, "File names".
"""

from __future__ import annotations

import unicodedata
from fnmatch import fnmatchcase

from filesync._model import Kind, Target
from filesync._settings import FileRule
from filesync._values import frozen
from filesync.exceptions import RefusedByPolicyError, RefusedNameError

__all__ = ["OWN_DIRECTORY", "OWN_SUFFIXES", "Naming"]

#: Of the files that we make beside a file; no sender may name one.
OWN_SUFFIXES = (".tmp", ".backup", ".chunks")

#: Our own directory in files-dir.
OWN_DIRECTORY = ".filesync"

#: Kinds where the settings give no list (design rule M5).
_CONFIG_SUFFIXES = (".json", ".yaml", ".yml")

#: Bytes in one part of a path on every Linux file system.
_MAX_PART_BYTES = 255

#: Bytes in a whole path that Linux takes.
_MAX_PATH_BYTES = 4095

#: The longest thing that we put behind a name: ``.backup.tmp``.
_MAX_SUFFIX_BYTES = len(".backup.tmp")

#: Control characters, and separators that look like an end of line in a log.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


@frozen(kw_only=True)
class Naming:
    """
    Turns a sender's name into a `Target`.

    Attributes:
        files_dir: Absolute path of files-dir.
        rules: The first that matches gives the kind, a file that none matches
            is refused; None: the suffix gives the kind, every file is allowed.
    """

    files_dir: str
    rules: tuple[FileRule, ...] | None = None

    def target(self, name: str) -> Target:
        """
        Return the file that *name* stands for.

        Raises:
            RefusedNameError: It may not be written, whatever the settings say.
            RefusedByPolicyError: The settings do not allow it.
        """
        relative = self._relative(name)
        longest = _MAX_PATH_BYTES - len(self.files_dir.encode()) - 1 - _MAX_SUFFIX_BYTES
        if len(relative) > longest:
            raise RefusedNameError(f"{_shown(relative)} is longer than {longest} bytes")
        parts = relative.split("/")
        for part in parts:
            _check_part(part)
        if len(relative.encode()) > longest:
            raise RefusedNameError(f"{_shown(relative)} is longer than {longest} bytes")
        if len(parts[-1].encode()) + _MAX_SUFFIX_BYTES > _MAX_PART_BYTES:
            limit = _MAX_PART_BYTES - _MAX_SUFFIX_BYTES
            raise RefusedNameError(f"{_shown(parts[-1])} is longer than {limit} bytes")
        return Target(name=relative, kind=self._kind(relative))

    def _relative(self, name: str) -> str:
        if not name.startswith("/"):
            return name
        prefix = self.files_dir.rstrip("/") + "/"
        if not name.startswith(prefix):
            raise RefusedNameError(f"{_shown(name)} is outside files-dir ({self.files_dir})")
        return name[len(prefix) :]

    def _kind(self, relative: str) -> Kind:
        if self.rules is None:
            suffixed = relative.lower().endswith(_CONFIG_SUFFIXES)
            return Kind.CONFIG if suffixed else Kind.DATA
        for rule in self.rules:
            if fnmatchcase(relative, rule.match):
                return rule.kind
        raise RefusedByPolicyError(f"{_shown(relative)} matches no pattern of filesync.files")


def _check_part(part: str) -> None:
    if part in {"", ".", ".."}:
        raise RefusedNameError(f"a name has no part {part!r}")
    for character in part:
        if character == "\\" or unicodedata.category(character) in _REFUSED_CATEGORIES:
            raise RefusedNameError(f"{_shown(part)} contains {character!r}")
    if len(part.encode()) > _MAX_PART_BYTES:
        raise RefusedNameError(f"{_shown(part)} is longer than {_MAX_PART_BYTES} bytes")
    if part == OWN_DIRECTORY or part.endswith(OWN_SUFFIXES):
        raise RefusedNameError(f"{_shown(part)} is a name that filesync uses itself")


def _shown(name: str) -> str:
    return ascii(name) if len(name) <= 80 else f"{name[:80]!a}…"
