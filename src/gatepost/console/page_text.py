"""The words of a web page, for people who must not open it.

What it does: leaves out markup, scripts and styles in one pass, and puts the address of each link behind its words, since the two may differ.
Not its job: reading the page as a browser would; what is unclear is shown rather than left out.
Raises: nothing; the time is proportional to the length.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

SILENT = frozenset({"script", "style", "title", "template", "noscript"})
BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "table", "blockquote"})
_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]{0,20})")
_HREF = re.compile(r"""\bhref\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)


def page_text(markup: str) -> str:
    """The words, a line each for what a reader shows as a line."""
    joined = html.unescape("".join(_pieces(markup)))
    lines = (" ".join(line.split()) for line in joined.split("\n"))
    return "\n".join(line for line in lines if line)


def _pieces(markup: str) -> Iterator[str]:
    position, link, lower = 0, "", markup.lower()
    while (start := markup.find("<", position)) >= 0:
        yield markup[position:start].replace("\n", " ")
        if markup.startswith("<!--", start):
            position = _after(markup, "-->", start + 4)
            continue
        name = _NAME.match(markup, start)
        if name is None and markup[start + 1 : start + 2] not in {"!", "?"}:
            yield "<"
            position = start + 1
            continue
        position = _after(markup, ">", start)
        tag, is_end = (name[1].lower() if name else ""), markup.startswith("</", start)
        if tag in SILENT and not is_end:
            position = _after(markup, ">", _after(lower, f"</{tag}", position))
        elif tag in BREAKS:
            yield "\n"
        elif tag == "a":
            yield f" \u27e8{link}\u27e9 " if link else " "
            link = "" if is_end else _address(markup[start:position])
    yield markup[position:].replace("\n", " ")


def _after(text: str, end: str, start: int) -> int:
    """Behind the next `end`; where there is none, at the end of the text, as browsers do."""
    found = text.find(end, start)
    return len(text) if found < 0 else found + len(end)


def _address(tag: str) -> str:
    found = _HREF.search(tag)
    return next((group for group in found.groups() if group), "") if found else ""
