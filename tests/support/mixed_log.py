"""
A log of mixed records, drawn from a seed: what a topic looks like that many hosts share.

Theory. Transfers of every kind are drawn for several hosts and dealt like a
deck of cards into one log: whole files and chunks, by the four headers alone
(L0) and with the optional ones (L1); complete, broken off, repeated, shuffled,
with claims that do not hold; records that break the wire format, and records
that nobody can decode. Every record has a time of its own, so that of two
versions in different partitions everybody knows which is newer.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

from attrs import frozen

from filesync._model import Headers

__all__ = ["Entry", "draw"]

_START_MS = 1_700_000_000_000
_UNDER_WAY = 12

_Header = tuple[str, "bytes | None"]


@frozen(kw_only=True)
class Entry:
    """
    One record of the log.

    Attributes:
        partition: Where it goes.
        headers: In this order.
        value: None is a tombstone.
        key: None and empty are different.
        timestamp_ms: Grows from record to record.
        undecodable: It is one that no reader can decode; all else is ignored.
    """

    partition: int
    headers: Headers = ()
    value: bytes | None = None
    key: bytes | None = None
    timestamp_ms: int = 0
    undecodable: bool = False


@frozen
class _Draft:
    """A record without its place."""

    headers: tuple[_Header, ...]
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None


def draw(seed: int, count: int, partitions: int, *, undecodable: int = 0) -> list[Entry]:
    """
    Return *count* records for *partitions*: the same for the same arguments.

    Of them, *undecodable* are such that no reader can decode them.
    """
    deck = _Deck(random.Random(seed), partitions)
    return list(deck.deal(count, undecodable))


class _Deck:
    """What is drawn from *chance*."""

    def __init__(self, chance: random.Random, partitions: int) -> None:
        self._chance = chance
        self._partitions = partitions
        self._serial = 0
        self._generations: dict[str, int] = {}

    def deal(self, count: int, undecodable: int) -> Iterator[Entry]:
        """Yield *count* records of which some transfers are under way at a time."""
        chance = self._chance
        share = count // max(1, undecodable)
        holes = {share * number + chance.randrange(share) for number in range(undecodable)}
        hands: list[tuple[int, list[_Draft]]] = []
        for number in range(count):
            if number in holes:
                yield Entry(partition=0, undecodable=True)
                continue
            while len(hands) < _UNDER_WAY:
                hands.append((chance.randrange(self._partitions), self._transfer()))
            which = chance.randrange(len(hands))
            partition, hand = hands[which]
            draft = hand.pop(0)
            if not hand:
                del hands[which]
            yield Entry(
                partition=partition if draft.partition is None else draft.partition,
                headers=draft.headers,
                value=draft.value,
                key=draft.key,
                timestamp_ms=_START_MS + 7 * number,
            )

    def _transfer(self) -> list[_Draft]:
        host = self._chance.choices(["ns1", "ns2", "ns3.example."], [6, 3, 1])[0].encode()
        kinds = {
            self._whole: 8,
            self._plain_chunks: 6,
            self._named_chunks: 6,
            self._spread_chunks: 1,
            self._configuration: 3,
            self._false_claims: 2,
            self._malformed: 6,
            self._strange: 2,
        }
        (kind,) = self._chance.choices(list(kinds), list(kinds.values()))
        return kind(host)

    def _data(self, most: int = 3000) -> bytes:
        return self._chance.randbytes(self._chance.randrange(most))

    def _name(self, folder: str) -> str:
        return f"{folder}/{self._chance.randrange(12)}.rpz"

    def _headers(self, host: bytes, name: str, *more: _Header) -> tuple[_Header, ...]:
        names: list[_Header] = [("files-name", name.encode()), ("file-name", name.encode())]
        some = self._chance.choice([names, names[:1], names[1:]])
        headers = [("hostname", host), *some, *more]
        self._chance.shuffle(headers)
        return tuple(headers)

    def _slices(self, data: bytes) -> list[bytes]:
        count = self._chance.randint(2, 9)
        cuts = sorted(self._chance.randrange(len(data) + 1) for _ in range(count - 1))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    def _whole(self, host: bytes) -> list[_Draft]:
        key = self._chance.choice([None, b"", b"key"])
        return [_Draft(self._headers(host, self._name("whole")), self._data(), key)]

    def _plain_chunks(self, host: bytes) -> list[_Draft]:
        """L0: mostly in order, some broken off, some chunks twice."""
        name, slices = self._name("plain"), self._slices(self._data())
        drafts = [
            _Draft(
                self._headers(
                    host,
                    name,
                    ("total-chunks", b"%d" % len(slices)),
                    ("chunk-index", b"%d" % (index + 1)),
                ),
                data,
            )
            for index, data in enumerate(slices)
        ]
        if self._chance.random() < 0.2:
            drafts.append(self._chance.choice(drafts))
        if self._chance.random() < 0.15:
            self._chance.shuffle(drafts)
        if self._chance.random() < 0.15:
            drafts.pop()
        return drafts

    def _claims(self, name: str, data: bytes) -> list[_Header]:
        """Return a size, a digest and a generation that is newer than the last, or older."""
        newest = self._generations[name] = self._generations.get(name, 0) + 1
        generation = max(1, newest - self._chance.choice([0, 0, 0, 2]))
        return [
            ("file-size", b"%d" % len(data)),
            ("file-sha256", hashlib.sha256(data).hexdigest().encode()),
            ("generation", b"%d" % generation),
        ]

    def _named_chunks(self, host: bytes) -> list[_Draft]:
        """L1: in any order, some chunks twice, some too late."""
        name, data = self._name("named"), self._data()
        drafts = self._named(host, name, data, self._claims(name, data))
        self._chance.shuffle(drafts)
        if self._chance.random() < 0.3:
            drafts.insert(self._chance.randrange(len(drafts)), self._chance.choice(drafts))
        if self._chance.random() < 0.1:
            drafts.pop()
        return drafts

    def _spread_chunks(self, host: bytes) -> list[_Draft]:
        """L1: one transfer in all partitions, of a file that comes once."""
        self._serial += 1
        name, data = f"spread/{self._serial}.rpz", self._data()
        drafts = self._named(host, name, data, self._claims(name, data))
        return [
            _Draft(draft.headers, draft.value, draft.key, index % self._partitions)
            for index, draft in enumerate(drafts)
        ]

    def _named(self, host: bytes, name: str, data: bytes, claims: list[_Header]) -> list[_Draft]:
        self._serial += 1
        slices = self._slices(data)
        return [
            _Draft(
                self._headers(
                    host,
                    name,
                    ("total-chunks", b"%d" % len(slices)),
                    ("chunk-index", b"%d" % (index + 1)),
                    ("transfer-id", b"t-%d" % self._serial),
                    *claims,
                ),
                slice_,
            )
            for index, slice_ in enumerate(slices)
        ]

    def _configuration(self, host: bytes) -> list[_Draft]:
        """A configuration, which may be broken."""
        ending, good, bad = self._chance.choice(
            [
                ("json", b'{"a": %d}', b'{"a": %d, "a": 1}'),
                ("yaml", b"a: %d\n", b"a: [%d\n"),
                ("yml", "b: [%d, \u00e9]\n".encode(), b"b: %d\nb: 1\n"),
            ]
        )
        self._serial += 1
        text = (bad if self._chance.random() < 0.3 else good) % self._serial
        name = f"etc/{self._chance.randrange(4)}.{ending}"
        return [_Draft(self._headers(host, name), text)]

    def _false_claims(self, host: bytes) -> list[_Draft]:
        """L1: another size or digest than announced."""
        name, data = self._name("false"), self._data()
        claim: _Header = self._chance.choice(
            [("file-size", b"%d" % (len(data) + 1)), ("file-sha256", b"0" * 64)]
        )
        if self._chance.random() < 0.5:
            return [_Draft(self._headers(host, name, claim), data)]
        return self._named(host, name, data, [claim])

    def _malformed(self, host: bytes) -> list[_Draft]:
        """Break the wire format, or name what cannot be a file here."""
        name: _Header = ("files-name", b"bad/x.rpz")
        chunk: list[_Header] = [("hostname", host), name]
        wrong: list[list[_Header]] = [
            [("hostname", host)],
            [("hostname", host), ("files-name", None)],
            [("hostname", host), ("files-name", b"\xff")],
            [("hostname", host), name, name],
            [("hostname", host), name, ("file-name", b"other.rpz")],
            [*chunk, ("total-chunks", b"2")],
            [*chunk, ("total-chunks", b"2"), ("chunk-index", b"3")],
            [*chunk, ("total-chunks", b"2"), ("chunk-index", b"0")],
            [*chunk, ("total-chunks", b" 2"), ("chunk-index", b"1")],
            [*chunk, ("total-chunks", b"9" * 500), ("chunk-index", b"1")],
            *[[*chunk, ("total-chunks", b"2147483647"), ("chunk-index", b"1")]] * 3,
            [*chunk, ("transfer-id", b"")],
            [*chunk, ("file-sha256", b"0123")],
            [*chunk, ("generation", b"-1")],
        ]
        wrong.extend([("hostname", host), ("files-name", bad)] for bad in _BAD_NAMES)
        value = None if self._chance.random() < 0.2 else b"x"
        return [_Draft(tuple(self._chance.choice(wrong)), value)]

    def _strange(self, host: bytes) -> list[_Draft]:
        """Return what is of nobody's concern, or is no file."""
        headers: tuple[_Header, ...] = self._chance.choice(
            [
                (),
                (("hostname", None),),
                (("hostname", b"\xfe"),),
                (("HOSTNAME", host),),
                (("files-name", b"x.rpz"),),
                (("hostname", host), ("hostname", b"ns9"), ("files-name", b"x.rpz")),
                (("\u00e9", b""), ("", None)),
            ]
        )
        return [_Draft(headers, self._chance.choice([None, b"", b"x"]), b"\xff")]


_BAD_NAMES = (b"", b"../x", b"/etc/x", b"a\x00b", b"a" * 300, b"a.tmp", b".filesync/journal", b"a/")
