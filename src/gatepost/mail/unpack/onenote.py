"""OneNote sections: the files in them.

What it does: yields every embedded file.
Not its job: pages and text.
Raises: `BudgetError`.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.mail.unpack.opened import Member, Opened

_HEADER = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")  # FileDataStoreObject, MS-ONESTORE 2.6.13
_DATA_AT = 36


def read_onenote(opened: Opened) -> Iterator[Member]:
    """Each FileDataStoreObject."""
    data, number = opened.data, 0
    at = data.find(_HEADER)
    while at >= 0:
        number += 1
        size = int.from_bytes(data[at + 16 : at + 24], "little")
        body = memoryview(data)[at + _DATA_AT : at + _DATA_AT + size]
        opened.meter.spend(len(body))
        yield Member(f"file{number}", body)
        at = data.find(_HEADER, at + _DATA_AT)
