"""`python -m tests.mail.parse.readings_page > docs/readings.md` prints the table of quirks as the page that administrators read."""

from __future__ import annotations

from gatepost.mail.parse import quirks

HEAD = """# All readings of a mail

Mail readers differ on broken mail. Gatepost does not guess which of them a recipient uses: when a mail is odd, it derives what each of
them would see, has all of it scanned, and the worst finding counts. A mail that is sound has one reading, and costs nothing more.

The rows below are the table that the code walks (`gatepost.mail.parse.quirks`); this page is printed from it by
`python -m tests.mail.parse.readings_page`, and a test compares the two. "Refused" means that no honest sender writes this, or that
its content is not in the mail: such a mail is AMBIGUOUS and held although all its readings are scanned. Where the readings of a mail
pass the budget (`limit-readings`, `limit-depth`, `limit-parts`, `limit-bytes`, `limit-header`, `limit-cpu`), it is UNCHECKED and held.

| id | changes | a reader may differ: it ... | source | refused |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    lines = [f"| {row.id} | {row.stage.value} | {row.reader} | {row.source} | {'yes' if row.refuse else 'no'} |" for row in quirks.rows()]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
