"""ZIP archives (APPNOTE 6.3.10), read by the directory and by the local headers, both to the end.

What it does: yields every entry in every way that some reader would decode it, with an AMBIGUOUS finding for each disagreement.
Not its job: finding the entries (`zip_layout`), keys (`zip_crypt`), following what comes out (`walk`).
Raises: `BudgetError`.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from gatepost.mail.model import Kind
from gatepost.mail.unpack import zip_crypt
from gatepost.mail.unpack.decompress import Stream, bunzip2, inflate, unlzma_raw, unxz, unzstd
from gatepost.mail.unpack.deflate64 import inflate64
from gatepost.mail.unpack.opened import Gathered, Member, Opened
from gatepost.mail.unpack.zip_layout import Entry, Layout, layout
from gatepost.mail.unpack.zip_records import AES_METHOD, CENTRAL, DESCRIPTOR, LOCAL, STREAMED, STRONG, Record, fields

_STORED = 0
_LENGTHS_MOST = 6


def _lzma(data: memoryview) -> Stream:
    size = int.from_bytes(data[2:4], "little")
    return unlzma_raw(data[4 + size :], bytes(data[4 : 4 + size]))


_METHODS: dict[int, Callable[[memoryview], Iterable[bytes]]] = {
    8: inflate,
    9: inflate64,
    12: bunzip2,
    14: _lzma,
    20: unzstd,
    93: unzstd,
    95: unxz,
}


def read_zip(opened: Opened) -> Iterator[Member]:
    """Every entry in every reading."""
    return _Zip(opened).members()


class _Zip:
    """One archive in work."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.data = opened.data
        self.view = memoryview(opened.data)
        self.starts: list[int] = []
        self.stops: list[int] = []

    def members(self) -> Iterator[Member]:
        found = layout(self.data, self._tick)
        claims = self.opened.part.type != "pe" or bool(found.main)
        if claims and found.main:
            self._report(found.quirks)
        for entry in found.main:
            self._report(entry.quirks())
            if entry.local and (self._taken(entry.local.at) or len(entry.centrals) > 1):
                self.opened.find(Kind.AMBIGUOUS, "zip-overlap", f"'{entry.names[0]}' shares its bytes with another entry")
            yield from self._entry(entry)
        yield from self._hidden(found)
        if claims and (rest := self.data[found.stop :].lstrip(b"\0")):
            self.opened.meter.spend(len(rest))
            yield Member("trailing", rest, "trailing-bytes")

    def _hidden(self, found: Layout) -> Iterator[Member]:
        for entry in found.hidden(self._taken):
            members = list(self._entry(entry))
            if members:
                self._report([*found.quirks, *entry.quirks()])
            yield from members

    def _tick(self) -> None:
        self.opened.budget.time(self.opened.part.path)

    def _report(self, quirks: Iterable[tuple[str, str]]) -> None:
        for name, detail in quirks:
            self.opened.find(Kind.AMBIGUOUS, name, detail)

    def _taken(self, at: int) -> bool:
        index = bisect_right(self.starts, at) - 1
        return index >= 0 and at < self.stops[index]

    def _take(self, start: int, stop: int) -> None:
        if stop > start and not self._taken(start):
            index = bisect_right(self.starts, start)
            self.starts.insert(index, start)
            self.stops.insert(index, stop)

    def _entry(self, entry: Entry) -> Iterator[Member]:
        self._tick()
        if entry.local is None:
            return
        quirk = next((name for name, _ in entry.quirks()), "")
        got: list[bytes] = []
        locked = any(record.encrypted for record in entry.records)
        plain_claimed = not all(record.encrypted for record in entry.records)
        if locked:
            got += self._unlocked(entry)
        if not got or plain_claimed:
            got += self._plain(entry, guess=locked)
        if locked and not got:
            self.opened.find(Kind.ENCRYPTED, "zip-encrypted", f"'{entry.names[0]}' is encrypted and no password in the mail opens it")
        for number, data in enumerate(dict.fromkeys(got)):
            if data or not entry.names[0].endswith("/"):
                yield Member(entry.names[0], data, quirk or ("zip-reading" if number else ""), entry.names[1:])

    def _plain(self, entry: Entry, *, guess: bool) -> list[bytes]:
        """What each method that a record names makes of the data; with `guess` only what fits the check sum counts."""
        assert entry.local is not None
        start = entry.local.start
        got = []
        errors = []
        for method in dict.fromkeys(record.method for record in entry.records):
            for gathered in self._decode(entry, method, start):
                if guess and zlib.crc32(gathered.data) not in {record.crc for record in entry.records}:
                    continue
                if not gathered.error or gathered.data:
                    got.append(gathered.data)
                if gathered.error:
                    errors.append(gathered.error)
        if errors and not guess and (not got or len({record.method for record in entry.records}) == 1):
            self.opened.find(Kind.UNCHECKED, "zip-damaged", f"'{entry.names[0]}': {errors[0]}")
        return got

    def _decode(self, entry: Entry, method: int, start: int) -> Iterator[Gathered]:
        if method == _STORED:
            yield from self._stored(entry, start)
            return
        decoder = _METHODS.get(method)
        if decoder is None:
            if method != AES_METHOD:
                self.opened.find(
                    Kind.UNCHECKED, "zip-method", f"'{entry.names[0]}' is compressed by method {method}, which is not known here"
                )
            gathered = self.opened.gather(inflate(self.view[start:]))
            if zlib.crc32(gathered.data) in {record.crc for record in entry.records}:
                yield gathered
            return
        yield self._decompress(decoder, self.view[start:], start, entry)

    def _decompress(self, decoder: Callable[[memoryview], Iterable[bytes]], packed: memoryview, start: int, entry: Entry) -> Gathered:
        size = next((r.packed for r in entry.records if r.packed and start + r.packed <= len(self.data)), 0)
        if decoder is unzstd and size:
            packed = packed[:size]
        try:
            stream = decoder(packed)
        except ValueError as error:
            return Gathered(b"", str(error))
        gathered = self.opened.gather(stream)
        used = stream.consumed if isinstance(stream, Stream) else size
        self._take(start, start + (size if gathered.error else used))
        claimed = {record.size for record in entry.records if not (record is entry.local and record.flags & STREAMED)}
        if not gathered.error and claimed and len(gathered.data) not in claimed:
            self.opened.find(
                Kind.AMBIGUOUS, "zip-sizes-lie", f"'{entry.names[0]}' is {len(gathered.data)} bytes long, its headers say otherwise"
            )
        return gathered

    def _stored(self, entry: Entry, start: int) -> Iterator[Gathered]:
        yield from self._not_stored(entry, start)
        lengths = self._stored_lengths(entry, start)
        if lengths:
            self._take(start, start + lengths[0])
        for length in lengths:
            self.opened.meter.spend(length)
            yield Gathered(bytes(self.view[start : start + length]))

    def _not_stored(self, entry: Entry, start: int) -> Iterator[Gathered]:
        """Sizes that differ cannot be those of stored data; whether it is deflated shows by the check sum."""
        if not any(record.packed and record.size and record.packed != record.size for record in entry.records):
            return
        gathered = self.opened.gather(inflate(self.view[start:]))
        if zlib.crc32(gathered.data) in {record.crc for record in entry.records}:
            self.opened.find(Kind.AMBIGUOUS, "zip-methods-differ", f"'{entry.names[0]}' says that it is stored, and is deflated")
            yield gathered

    def _stored_lengths(self, entry: Entry, start: int) -> list[int]:
        """Every length that a reader could take, the honest one first."""
        room = len(self.data) - start
        said = [n for record in entry.records for n in (record.packed, record.size)]
        lengths = [n for n in said if 0 < n <= room]
        if not lengths and (any(said) or any(record.crc for record in entry.records) or any(r.flags & STREAMED for r in entry.records)):
            lengths = [self._gap(start)]
        if any(n > room for n in said):
            lengths.append(self._gap(start))
        return list(dict.fromkeys(lengths))[:_LENGTHS_MOST] or [0]

    def _gap(self, start: int) -> int:
        """Bytes up to the next record."""
        nexts = [at for mark in (DESCRIPTOR, LOCAL, CENTRAL) if (at := self.data.find(mark, start)) >= 0]
        return min(nexts, default=len(self.data)) - start

    def _unlocked(self, entry: Entry) -> list[bytes]:
        """What the first password that fits makes of an encrypted entry."""
        assert entry.local is not None
        opened = self.opened
        records = [record for record in entry.records if record.encrypted]
        for record in records:
            length = record.packed or self._gap(entry.local.start)
            packed = self.view[entry.local.start : entry.local.start + length]
            self._take(entry.local.start, entry.local.start + length)
            if record.flags & STRONG:
                opened.find(Kind.ENCRYPTED, "zip-encrypted", f"'{entry.names[0]}' is encrypted by certificate or PKWARE's strong method")
                continue
            for plain, method in self._keys(record, packed):
                decoder = _METHODS.get(method)
                gathered = (
                    Gathered(plain)
                    if method == _STORED
                    else opened.gather(decoder(memoryview(plain)))
                    if decoder
                    else Gathered(b"", "method")
                )
                if not gathered.error:
                    return [gathered.data]
        return []

    def _keys(self, record: Record, packed: memoryview) -> Iterator[tuple[bytes, int]]:
        """The packed data under each password whose check bytes fit, and its compression method."""
        aes = next((body for kind, body in fields(record.extra) if kind == zip_crypt.AES_FIELD and len(body) >= 7), None)  # noqa: PLR2004
        for password in zip_crypt.spelled(self.opened.passwords):
            self._tick()
            if record.method == AES_METHOD and aes:
                plain = zip_crypt.open_aes(packed, password, aes[4])
                method = int.from_bytes(aes[5:7], "little")
            else:
                check = {record.crc >> 24, record.time >> 8} if record.flags & STREAMED else {record.crc >> 24}
                plain = zip_crypt.open_traditional(packed, password, check, self._tick)
                method = record.method
            if plain is not None:
                self.opened.meter.spend(len(plain))
                yield plain, method
