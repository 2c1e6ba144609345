"""
The wire format: headers and value to `Chunk`, and back. Nobody else knows it.

On the wire chunks count from 1, here from 0. Both ``files-name`` (the
documented header) and ``file-name`` (what real senders write) are read.

Source: docs/reference/wire-format.md.
"""

from __future__ import annotations

import re

from filesync._matching import HOSTNAME_HEADER
from filesync._model import (
    MAX_GENERATION,
    MAX_NUMBER,
    MAX_TRANSFER_ID_BYTES,
    Chunk,
    Claims,
    Origin,
    Record,
)
from filesync.exceptions import MalformedRecordError

__all__ = ["decode", "encode_headers"]

_NAME = "files-name"
_NAME_ALIAS = "file-name"
_COUNT = "total-chunks"
_INDEX = "chunk-index"
_TRANSFER_ID = "transfer-id"
_SIZE = "file-size"
_DIGEST = "file-sha256"
_GENERATION = "generation"

_KNOWN = frozenset(
    {
        HOSTNAME_HEADER,
        _NAME,
        _NAME_ALIAS,
        _COUNT,
        _INDEX,
        _TRANSFER_ID,
        _SIZE,
        _DIGEST,
        _GENERATION,
    }
)

#: Decimal text; what is longer than `MAX_NUMBER` is not worth converting.
_NUMBER = re.compile(rb"[0-9]{1,%d}" % len(str(MAX_NUMBER)))
_HEX_DIGEST = re.compile(rb"[0-9a-fA-F]{64}")
_MAX_GENERATION_DIGITS = len(str(MAX_GENERATION))
_GENERATION_NUMBER = re.compile(rb"[0-9]{1,%d}" % _MAX_GENERATION_DIGITS)


def decode(record: Record, *, routed_by_hostname: bool) -> Chunk:
    """
    Return the chunk that *record* carries.

    Args:
        record: As it was read.
        routed_by_hostname: Whether a ``hostname`` header is required.

    Raises:
        MalformedRecordError: It breaks the wire format.
    """
    headers = _known_headers(record)
    if routed_by_hostname and HOSTNAME_HEADER not in headers:
        raise MalformedRecordError("there is no hostname header")
    if HOSTNAME_HEADER in headers:
        _text(HOSTNAME_HEADER, headers[HOSTNAME_HEADER])
    name = _name(headers)
    index, count = _place(headers)
    if record.value is None:
        shown = ascii(name) if len(name) <= 80 else f"{name[:80]!a}…"
        raise MalformedRecordError(f"{shown} has no value; files cannot be deleted by a record")
    claims = _claims(headers)
    return Chunk(
        name=name,
        index=index,
        count=count,
        data=record.value,
        origin=Origin(
            source=record.source,
            offset=record.offset,
            timestamp=record.timestamp,
            generation=claims.generation,
        ),
        claims=claims,
    )


def encode_headers(
    *, hostname: str, name: str, index: int, count: int, claims: Claims
) -> list[tuple[str, bytes]]:
    """
    Return the headers of chunk *index* (from 0) of *count*; both name headers are written.

    A file in one chunk has no chunk headers.
    """
    headers = [
        (HOSTNAME_HEADER, hostname.encode()),
        (_NAME, name.encode()),
        (_NAME_ALIAS, name.encode()),
    ]
    if count > 1:
        headers += [(_COUNT, b"%d" % count), (_INDEX, b"%d" % (index + 1))]
    if claims.transfer_id is not None:
        headers.append((_TRANSFER_ID, claims.transfer_id.encode()))
    if claims.size is not None:
        headers.append((_SIZE, b"%d" % claims.size))
    if claims.digest is not None:
        headers.append((_DIGEST, claims.digest.hex().encode()))
    if claims.generation is not None:
        headers.append((_GENERATION, b"%d" % claims.generation))
    return headers


def _known_headers(record: Record) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, value in record.headers:
        if name not in _KNOWN:
            continue
        if name in found:
            raise MalformedRecordError(f"the header {name} is there twice")
        if value is None:
            raise MalformedRecordError(f"the header {name} is null")
        found[name] = value
    return found


def _name(headers: dict[str, bytes]) -> str:
    name, alias = headers.get(_NAME), headers.get(_NAME_ALIAS)
    if name is None:
        if alias is None:
            raise MalformedRecordError(f"there is no {_NAME} header")
        return _text(_NAME_ALIAS, alias)
    if alias is not None and alias != name:
        raise MalformedRecordError(
            f"{_NAME} is {_shown(name)} and {_NAME_ALIAS} is {_shown(alias)}"
        )
    return _text(_NAME, name)


def _place(headers: dict[str, bytes]) -> tuple[int, int]:
    if _COUNT not in headers and _INDEX not in headers:
        return 0, 1
    for present, absent in ((_COUNT, _INDEX), (_INDEX, _COUNT)):
        if absent not in headers:
            raise MalformedRecordError(f"there is a {present} header and no {absent} header")
    count = _number(_COUNT, headers[_COUNT])
    index = _number(_INDEX, headers[_INDEX])
    if index < 1:
        raise MalformedRecordError(f"{_INDEX} is {index}; the first chunk is 1")
    if index > count:
        raise MalformedRecordError(f"chunk {index} of {count}")
    return index - 1, count


def _claims(headers: dict[str, bytes]) -> Claims:
    transfer_id = headers.get(_TRANSFER_ID)
    size = headers.get(_SIZE)
    digest = headers.get(_DIGEST)
    generation = headers.get(_GENERATION)
    if transfer_id is not None and not 0 < len(transfer_id) <= MAX_TRANSFER_ID_BYTES:
        raise MalformedRecordError(
            f"{_TRANSFER_ID} has {len(transfer_id)} bytes, not 1 to {MAX_TRANSFER_ID_BYTES}"
        )
    if digest is not None and _HEX_DIGEST.fullmatch(digest) is None:
        raise MalformedRecordError(f"{_DIGEST} is {_shown(digest)}, not 64 hexadecimal digits")
    if generation is not None and _GENERATION_NUMBER.fullmatch(generation) is None:
        raise MalformedRecordError(
            f"{_GENERATION} is {_shown(generation)}, not 1 to {_MAX_GENERATION_DIGITS} digits"
        )
    return Claims(
        transfer_id=None if transfer_id is None else _text(_TRANSFER_ID, transfer_id),
        size=None if size is None else _number(_SIZE, size),
        digest=None if digest is None else bytes.fromhex(digest.decode()),
        generation=None if generation is None else int(generation),
    )


def _number(name: str, value: bytes) -> int:
    if _NUMBER.fullmatch(value) is None:
        raise MalformedRecordError(f"{name} is {_shown(value)}, not a decimal number")
    return int(value)


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise MalformedRecordError(f"{name} is {_shown(value)}, not UTF-8 text") from None


def _shown(value: bytes) -> str:
    return repr(value) if len(value) <= 80 else f"{value[:80]!r}… ({len(value)} bytes)"
