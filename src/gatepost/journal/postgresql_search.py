"""SQL for questions to the journal in PostgreSQL; pure: texts and parameters out.

What differs from SQLite: subjects are found by an index of trigrams, and every time becomes a range of numbers, by which PostgreSQL leaves out
whole partitions.
Not its job: running it (`postgresql`), conditions that both stores share (`search`).
Raises: nothing.
"""

from __future__ import annotations

from gatepost.journal.interface import Column, Query
from gatepost.journal.postgresql_batch import LAG, first_number, since_id, text
from gatepost.journal.search import COLUMNS, Condition, Sql, finding_conditions, message_conditions, recipient_conditions

_JOIN = "FROM messages JOIN recipients ON message = number"


def events_sql(subject: str, kind: str, after: int, limit: int, since: float) -> Sql:
    """Events of one subject or kind, from one time on, in order."""
    conditions: list[Condition] = [("number > ?", [max(after, first_number(since) - 1)])]
    if subject:
        conditions.append(("subject = ? AND number >= ?", [subject, since_id(subject)]))
    if kind:
        conditions.append(("kind = ?", [kind]))
    if since:
        conditions.append(("at >= ?", [since]))
    where, values = _together(conditions)
    return f"SELECT number, body FROM events WHERE {where} ORDER BY number LIMIT %s", [*values, limit]  # noqa: S608 - constants


def newest_sql(kind: str, limit: int) -> Sql:
    """The bodies of the last events of a kind, or with "firewall." of all kinds that begin so, newest first."""
    if kind.endswith("."):
        return "SELECT body FROM events WHERE kind >= %s AND kind < %s ORDER BY number DESC LIMIT %s", [kind, kind[:-1] + "/", limit]
    return "SELECT body FROM events WHERE kind = %s ORDER BY number DESC LIMIT %s", [kind, limit]


def search_sql(query: Query) -> Sql:
    """Rows for `query`, newest first: partitions are read from the newest back, and no further than the limit asks."""
    where, values = _where(query)
    return f"SELECT {COLUMNS} {_JOIN} WHERE {where} ORDER BY number DESC, address LIMIT %s", [*values, query.limit]


def count_sql(query: Query, by: Column = "state", most: int = 0) -> Sql:
    """How many rows there are, by a column; no more than `most` when that is not 0."""
    where, values = _where(query)
    rows = f"SELECT {by} AS it {_JOIN} WHERE {where}"
    if most:
        rows, values = f"{rows} LIMIT %s", [*values, most]
    elif by == "state" and not values and not query.kept:
        rows = "SELECT state AS it FROM recipients"
    return f"SELECT it, count(*) FROM ({rows}) AS found GROUP BY it", values  # noqa: S608 - constants


def _where(query: Query) -> tuple[str, list[object]]:
    conditions = [*message_conditions(query), *recipient_conditions(query), *finding_conditions(query), *_numbers(query)]
    if query.subject:
        conditions.append(("lower(messages.subject) LIKE lower(?)", [f"%{_escaped(query.subject)}%"]))
    return _together(conditions)


def _numbers(query: Query) -> list[Condition]:
    """What a question's times mean in numbers."""
    numbers: list[Condition] = []
    if query.since:
        numbers.append(("number >= ?", [first_number(query.since)]))
    if query.until:
        numbers.append(("number < ?", [first_number(query.until + LAG)]))
    if query.id:
        numbers.append(("number >= ?", [since_id(query.id.upper())]))
    return numbers


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _together(conditions: list[Condition]) -> tuple[str, list[object]]:
    where = " AND ".join(condition for condition, _ in conditions).replace("?", "%s") or "true"
    return where, [text(value) if isinstance(value, str) else value for _, given in conditions for value in given]
