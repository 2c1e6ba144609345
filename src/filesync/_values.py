"""
`frozen`, for the many small values of the core: attrs' own, but quick to import.

attrs writes and compiles the methods of every class when it is defined, and
`import filesync` defines a hundred. The three that are the same for all of
them are written once here; the rest is attrs', and so is what a type checker
sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

__all__ = ["frozen"]


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, field.name) for field in attrs.fields(type(self)))


def _repr(self: Any) -> str:
    names = (field.name for field in attrs.fields(type(self)))
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash((type(self), _values(self)))


if TYPE_CHECKING:
    from attrs import frozen
else:

    def frozen(cls: type | None = None, *, kw_only: bool = False) -> Any:
        """Make *cls* an immutable value: equal when its type and all its fields are."""

        def make(cls: type) -> type:
            made = attrs.frozen(kw_only=kw_only, repr=False, eq=False)(cls)
            made.__repr__, made.__eq__, made.__hash__ = _repr, _eq, _hash
            return made

        return make if cls is None else make(cls)
