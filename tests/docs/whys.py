"""`python -m tests.docs.whys` writes the pages below docs/why/ from the guide in the code; a test compares the two."""

from __future__ import annotations

from pathlib import Path

from gatepost.report.why import ROOMS, pages, path, text

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
INDEX = "why/index.md"
HEAD = """# Why: each kind of finding

What Gatepost may tell you, why it matters, and what to do. On the terminal: `gatepost why NAME`.
These pages are written from the code (`gatepost.report.why`); a test compares the two.
"""


def made() -> dict[str, str]:
    """Every page by its path below docs/."""
    found = {}
    for one in pages():
        more = f"\n[Read on](../{one.see})\n" if one.see else ""
        found[path(one)] = f"{text(one)}{more}\n[All findings](index.md)\n"
    lines = [HEAD]
    for room, title in ROOMS.items():
        lines.append(f"\n## {title}\n")
        lines += [f"- [{one.title}]({one.id}.md)" for one in pages() if one.room == room]
    return found | {INDEX: "\n".join(lines) + "\n"}


def main() -> None:
    """Write them, and remove what is no page any more."""
    (DOCS / "why").mkdir(exist_ok=True)
    wanted = made()
    for old in (DOCS / "why").glob("*.md"):
        if f"why/{old.name}" not in wanted:
            old.unlink()
    for name, content in wanted.items():
        (DOCS / name).write_text(content)


if __name__ == "__main__":
    main()
