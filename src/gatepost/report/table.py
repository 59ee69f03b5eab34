"""Rows as CSV that a spreadsheet can open without harm.

Raises: nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from gatepost.report.story import printable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV. What a spreadsheet would take for a formula gets an apostrophe before it: mail chooses these texts."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(header)
    writer.writerows([_harmless(str(cell)) for cell in row] for row in rows)
    return target.getvalue()


def _harmless(cell: str) -> str:
    """Without what moves a cursor or turns the reading direction, and never a formula."""
    return printable("'" + cell if cell.startswith(_FORMULA) else cell)
