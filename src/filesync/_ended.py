"""
A bounded memory of transfers that ended, so that a late duplicate opens none.

A transfer with an id is remembered by it. Of one without, only the
fingerprints of its chunks can tell a late duplicate from a new version, so
they are kept. A first chunk always opens a new transfer; another chunk that is
the same as in the transfer before is taken for a late duplicate.
"""

from __future__ import annotations

import zlib
from array import array
from collections import OrderedDict

from attrs import Factory

from filesync._model import Chunk, Target, TopicPartition
from filesync._outcomes import Ending
from filesync._values import frozen

__all__ = ["PAGE", "Ended", "Identity", "Pages", "fingerprint", "identify", "is_named"]

#: Fingerprints in one page.
PAGE = 128
_BLANK_PAGE = bytes(8 * PAGE)

#: (where, file, which): a partition, name and count; or "", name and id.
Identity = tuple["TopicPartition | str", str, "int | str"]


def is_named(chunk: Chunk) -> bool:
    """Whether the sender named the transfer."""
    return chunk.claims.transfer_id is not None


def identify(chunk: Chunk, target: Target) -> Identity:
    """Return which transfer of the file *chunk* belongs to, runs apart."""
    if chunk.claims.transfer_id is not None:
        return "", target.name, chunk.claims.transfer_id
    return chunk.origin.source, target.name, chunk.count


def fingerprint(data: bytes) -> int:
    """Return CRC-32 and length of *data* in one number, never 0."""
    return zlib.crc32(data) << 32 | (len(data) + 1)


class Pages:
    """Fingerprints by chunk index, in pages of `PAGE`; 0 means not seen."""

    __slots__ = ("_pages",)

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}

    def __len__(self) -> int:
        """Return how many fingerprints there is room for."""
        return len(self._pages) * PAGE

    def get(self, index: int) -> int:
        """Return the fingerprint of chunk *index*, 0 when it was not seen."""
        page = self._pages.get(index // PAGE)
        return 0 if page is None else page[index % PAGE]

    def needs_page(self, index: int) -> bool:
        """Whether `put` of *index* takes another page."""
        return index // PAGE not in self._pages

    def put(self, index: int, value: int) -> None:
        """Store the fingerprint of chunk *index*."""
        page = self._pages.get(index // PAGE)
        if page is None:
            page = self._pages[index // PAGE] = array("Q", _BLANK_PAGE)
        page[index % PAGE] = value


@frozen(kw_only=True)
class _Past:
    """How a transfer ended; *pages* only for a whole one without an id."""

    ending: Ending
    pages: Pages = Factory(Pages)


class Ended:
    """At most *most* transfers that ended, the oldest forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._past: OrderedDict[Identity, _Past] = OrderedDict()
        #: Those that are remembered with fingerprints, oldest first.
        self._paged: OrderedDict[Identity, None] = OrderedDict()
        self.tracked = 0

    def late(self, identity: Identity, chunk: Chunk, value: int) -> Ending | None:
        """Return how the transfer ended that *chunk* comes too late for, if it does."""
        past = self._past.get(identity)
        if past is None:
            return None
        if is_named(chunk):
            return past.ending
        # Without an id a first chunk may always be the start of a new version.
        if chunk.index == 0 or (past.pages and past.pages.get(chunk.index) != value):
            return None
        return past.ending

    def repeats(self, identity: Identity, chunk: Chunk, value: int) -> bool:
        """Whether *chunk*, by the four headers alone, is the same as in the version before."""
        past = self._past.get(identity)
        return past is not None and past.pages.get(chunk.index) == value

    def whole(self, identity: Identity, chunk: Chunk, pages: Pages) -> list[Identity]:
        """Remember that *chunk* made its transfer whole; return which are forgotten for it."""
        if is_named(chunk):
            return self._keep(identity, _Past(ending=Ending.LATE_DUPLICATE))
        if chunk.count > 1:
            return self._keep(identity, _Past(ending=Ending.LATE_DUPLICATE, pages=pages))
        return []

    def failed(self, identity: Identity, ending: Ending) -> list[Identity]:
        """Remember a transfer that never was whole; return which are forgotten for it."""
        return self._keep(identity, _Past(ending=ending))

    def forget_source(self, source: TopicPartition) -> None:
        """Forget what was read of *source*."""
        for identity in [known for known in self._past if known[0] == source]:
            self.forget(identity)

    def free_page(self) -> Identity | None:
        """Forget the oldest that has a page; return which; None: no page can be freed."""
        oldest = next(iter(self._paged), None)
        if oldest is not None:
            self.forget(oldest)
        return oldest

    def _keep(self, identity: Identity, past: _Past) -> list[Identity]:
        if identity in self._past:
            old = self._past.pop(identity)
            self.tracked -= len(old.pages)
        self._past[identity] = past
        self._paged.pop(identity, None)
        if past.pages:
            self._paged[identity] = None
            self.tracked += len(past.pages)
        if len(self._past) <= self._most:
            return []
        oldest = next(iter(self._past))
        self.forget(oldest)
        return [oldest]

    def forget(self, identity: Identity) -> None:
        """Forget one transfer; it may be unknown."""
        past = self._past.pop(identity, None)
        if past is None:
            return
        self.tracked -= len(past.pages)
        self._paged.pop(identity, None)
