"""SQL for questions to the journal in SQLite, and the conditions that every store shares; pure: texts and parameters out, rows into values.

Not its job: running it (`store`).
Raises: nothing.
"""

from __future__ import annotations

from typing import Any

from gatepost.journal.interface import Column, Query, Row
from gatepost.journal.states import State

Sql = tuple[str, list[Any]]
Condition = tuple[str, list[Any]]
"""A part of a WHERE with `?` for each of its values."""

COLUMNS = (
    "number, id, at, sender, address, messages.subject, client, message_id, digest, size, direction, verdict, rule, reason, state, kept"
)
_JOIN = "FROM messages CROSS JOIN recipients ON message = number"
_JOIN_BY_RECIPIENT = "FROM recipients CROSS JOIN messages ON message = number"
_JOIN_BY_SUBJECT = "FROM subjects CROSS JOIN messages ON number = subjects.rowid CROSS JOIN recipients ON message = number"
# The order is that of the table that is read first; an index of words gives its own order for nothing only when nothing is added.
_ORDERS = {_JOIN: "number DESC, address", _JOIN_BY_RECIPIENT: "message DESC, address", _JOIN_BY_SUBJECT: "subjects.rowid DESC"}

TRIGRAM = 3
MOST_TRIGRAMS = 16


def events_sql(subject: str, kind: str, after: int, limit: int, since: float) -> Sql:
    """Events of one subject or kind, from one time on, in order."""
    conditions = ["sequence > ?"]
    values: list[Any] = [after]
    for column, value in (("subject", subject), ("kind", kind)):
        if value:
            conditions.append(f"{column} = ?")
            values.append(value)
    if since:
        conditions.append("at >= ?")
        values.append(since)
    return f"SELECT sequence, body FROM events WHERE {' AND '.join(conditions)} ORDER BY sequence LIMIT ?", [*values, limit]  # noqa: S608


def newest_sql(kind: str, limit: int) -> Sql:
    """The bodies of the last events of a kind, or with "firewall." of all kinds that begin so, newest first."""
    if kind.endswith("."):
        return "SELECT body FROM events WHERE kind >= ? AND kind < ? ORDER BY sequence DESC LIMIT ?", [kind, kind[:-1] + "/", limit]
    return "SELECT body FROM events WHERE kind = ? ORDER BY at DESC LIMIT ?", [kind, limit]


def search_sql(query: Query) -> Sql:
    """Rows for `query`, newest first. Numbers of messages rise with time, so every index ends in one and gives the order for nothing."""
    source, conditions, values = _where(query)
    return f"SELECT {COLUMNS} {source} WHERE {conditions} ORDER BY {_ORDERS[source]} LIMIT ?", [*values, query.limit]


def count_sql(query: Query, by: Column = "state", most: int = 0) -> Sql:
    """How many rows there are, by a column; no more than `most` when that is not 0."""
    source, conditions, values = _where(query)
    if most:
        rows = f"SELECT {by} {source} WHERE {conditions} LIMIT ?"
        return f"SELECT {by}, count(*) FROM ({rows}) GROUP BY {by}", [*values, most]  # noqa: S608 - as above
    if by == "state" and not values and not query.kept:
        return "SELECT state, count(*) FROM recipients GROUP BY state", []
    return f"SELECT {by}, count(*) {source} WHERE {conditions} GROUP BY {by}", values


def _where(query: Query) -> tuple[str, str, list[Any]]:
    by_recipient = recipient_conditions(query)
    conditions = [*message_conditions(query), *by_recipient, *finding_conditions(query)]
    if query.subject:
        conditions.append(("instr(lower(messages.subject), lower(?))", [query.subject]))
    source = _JOIN
    if not (query.id or query.message_id or query.sender):
        if (query.recipient and not _has_fewer(query)) or ((query.states or _is_direction_alone(query)) and len(query.subject) < TRIGRAM):
            source = _JOIN_BY_RECIPIENT
        elif len(query.subject) >= TRIGRAM:
            source = _JOIN_BY_SUBJECT
            conditions.insert(0, ("subjects MATCH ?", [_trigrams(query.subject)]))
    text = " AND ".join(condition for condition, _ in conditions) or "1"
    return source, text, [value for _, given in conditions for value in given]


def _has_fewer(query: Query) -> bool:
    """Whether something else finds fewer mails than a whole domain of recipients."""
    is_rare = query.verdict not in {"", "clean"}
    return query.recipient.startswith("@") and (is_rare or any((query.client, query.digest, query.finding, query.engine)))


def _is_direction_alone(query: Query) -> bool:
    """Whether the direction is all that narrows; beside anything else its index, which leads to half of all mail, would be a detour."""
    others = (query.verdict, query.client, query.digest, query.finding, query.engine, query.since, query.until)
    return bool(query.direction) and not any(others)


def _trigrams(text: str) -> str:
    """A question to the index of subjects: all of the first trigrams of `text`. What it finds is compared with the whole text after that."""
    clean = text.replace("\0", " ")
    pieces = [clean[at : at + TRIGRAM] for at in range(min(len(clean) - TRIGRAM + 1, MOST_TRIGRAMS))]
    return " AND ".join('"' + piece.replace('"', '""') + '"' for piece in pieces)


def message_conditions(query: Query) -> list[Condition]:
    """What a question says of the mail itself, but for its subject: each store has its own index of words."""
    conditions: list[Condition] = []
    for column, value in (
        ("id", query.id.upper()),
        ("client", query.client),
        ("message_id", query.message_id),
        ("verdict", query.verdict),
        ("digest", query.digest),
    ):
        if value:
            conditions.append((f"{column} = ?", [value]))
    if query.sender:
        column = "sender_domain" if query.sender.startswith("@") else "sender"
        conditions.append((f"{column} = ?", [query.sender.lower()]))
    if query.since:
        conditions.append(("at >= ?", [query.since]))
    if query.until:
        conditions.append(("at < ?", [query.until]))
    if query.before:
        conditions.append(("number < ?", [query.before]))
    if query.message_id:
        # Said twice so that the index, which leaves out the empty ones, is known to have it.
        conditions.append(("message_id <> ''", []))
    if query.kept:
        conditions.append(("kept", []))
    return conditions


def recipient_conditions(query: Query) -> list[Condition]:
    """What a question says of a recipient."""
    conditions: list[Condition] = []
    if query.recipient:
        column = "domain" if query.recipient.startswith("@") else "address"
        conditions.append((f"{column} = ?", [query.recipient.lower()]))
    if query.states:
        marks = ", ".join("?" * len(query.states))
        conditions.append((f"state IN ({marks})", list(query.states)))
    if query.direction:
        conditions.append(("direction = ?", [query.direction]))
    return conditions


def finding_conditions(query: Query) -> list[Condition]:
    """What a question says of findings."""
    conditions: list[Condition] = []
    for column, value in (("name", query.finding), ("source", query.engine)):
        if value:
            conditions.append((f"number IN (SELECT message FROM findings WHERE {column} = ?)", [value]))  # noqa: S608 - two constants
    return conditions


def row(found: tuple[Any, ...]) -> Row:
    """The value of one row of `search_sql`."""
    fields: list[Any] = [*found[:-2], State(found[-2]), bool(found[-1])]
    return Row(*fields)
