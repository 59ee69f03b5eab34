"""A document of several pages as a value: headings, paragraphs, lists, tables and drawings in the order in which they are read.

Not its job: layout (`render`), what stands in a document (`policy`, `register`, `decision`, `integrity`, `value`).
Raises: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `level` 1 is a chapter, 2 a part of it."""

    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `mark` is "", "well", "ill" or "note"."""

    text: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Points:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; cells may have several lines."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG made by Gatepost, and the words that say the same."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Signatures:
    """Lines on which people sign: the role of each."""

    roles: tuple[str, ...]


Block = Heading | Text | Points | Table | Drawing | Signatures


@dataclass(frozen=True, slots=True)
class Paper:
    """A document. `dated` is the day it tells of, in words; `wide` lays it across the page."""

    company: str
    title: str
    dated: str
    blocks: tuple[Block, ...]
    wide: bool = False
