"""The tables of the PostgreSQL journal, as numbered migrations, and who may do what with them.

What it does: brings a database from any earlier version to this one; each migration is one transaction with its version number,
so that a process killed at any moment leaves the old tables or the new ones, never half, and of several nodes one migrates.
Tables are partitioned by `number`, which rises with time, so that what is old is dropped as whole tables and not deleted row by row.
Not its job: connecting (`postgresql`).
Raises: `psycopg.Error`; `postgresql` names it. A database of a newer Gatepost is `JournalError("newer")`, one of an older that this user may
not bring up to date is `JournalError("failed")`.
"""

from __future__ import annotations

import psycopg
from psycopg import Connection, errors

from gatepost.journal.interface import JournalError

SCHEMA = "gatepost"

NODE, READER = "gatepost_node", "gatepost_reader"
"""Roles to grant to the user of a node, who may add but never change an event, and to those who only look."""

LOCK = 0x6A74657031
"""The advisory lock that migrations, new partitions and retention take, so that one of several nodes does it."""

_TEXT = 'text COLLATE "C" NOT NULL'

_OPEN = f"""CREATE FUNCTION open_span(wanted bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = {SCHEMA}, public AS $$
DECLARE
  width bigint := (SELECT span FROM settings);
  first bigint := wanted - wanted % width;
  parent text;
BEGIN
  PERFORM pg_advisory_xact_lock({LOCK});
  IF EXISTS (SELECT 1 FROM spans WHERE start = first) THEN RETURN; END IF;
  FOREACH parent IN ARRAY ARRAY['events', 'messages', 'recipients', 'findings'] LOOP
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)', parent || '_' || first, parent, first, first + width);
  END LOOP;
  INSERT INTO spans VALUES (first, first + width);
END $$"""  # noqa: S608 - constants

_FORGET = f"""CREATE FUNCTION forget(before bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = {SCHEMA}, public AS $$
DECLARE
  gone bigint := 0;
  found bigint;
  last bigint;
  one record;
  parent text;
BEGIN
  PERFORM pg_advisory_xact_lock({LOCK});
  -- Mail that is not at its end stays, and so does the newest event.
  last := least(before, (SELECT min(message) FROM recipients WHERE state IN ('quarantined', 'accepted')),
                (SELECT min(number) FROM messages WHERE kept), (SELECT max(number) FROM events));
  FOR one IN SELECT start, until FROM spans WHERE until <= last ORDER BY start LOOP
    EXECUTE format('SELECT count(*) FROM %I', 'events_' || one.start) INTO found;
    EXECUTE format('UPDATE nodes SET start_sequence = cut.sequence, start_hash = cut.hash FROM
      (SELECT DISTINCT ON (node) node, sequence, hash FROM %I ORDER BY node, sequence DESC) cut WHERE name = cut.node', 'events_' || one.start);
    FOREACH parent IN ARRAY ARRAY['findings', 'recipients', 'messages', 'events'] LOOP
      EXECUTE format('DROP TABLE %I', parent || '_' || one.start);
    END LOOP;
    DELETE FROM spans WHERE start = one.start;
    gone := gone + found;
  END LOOP;
  RETURN gone;
END $$"""  # noqa: S608 - constants

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public",
        "CREATE TABLE settings (span bigint NOT NULL)",
        "INSERT INTO settings VALUES ({span})",
        "CREATE TABLE spans (start bigint PRIMARY KEY, until bigint NOT NULL)",
        f"""CREATE TABLE nodes (
            name text COLLATE "C" PRIMARY KEY, slot smallint NOT NULL UNIQUE CHECK (slot BETWEEN 0 AND 63), number bigint NOT NULL DEFAULT 0,
            sequence bigint NOT NULL DEFAULT 0, hash bytea NOT NULL DEFAULT '\\x{"00" * 32}',
            start_sequence bigint NOT NULL DEFAULT 0, start_hash bytea NOT NULL DEFAULT '\\x{"00" * 32}')""",
        f"""CREATE TABLE events (
            number bigint PRIMARY KEY, node {_TEXT}, sequence bigint NOT NULL, at double precision NOT NULL, kind {_TEXT},
            subject {_TEXT}, body bytea NOT NULL, hash bytea NOT NULL) PARTITION BY RANGE (number)""",
        "CREATE INDEX events_subject ON events (subject, number)",
        "CREATE INDEX events_kind ON events (kind, number)",
        "CREATE INDEX events_node ON events (node, sequence)",
        f"""CREATE TABLE messages (
            number bigint PRIMARY KEY, id {_TEXT}, at double precision NOT NULL, sender {_TEXT}, sender_domain {_TEXT}, subject {_TEXT},
            client {_TEXT}, message_id {_TEXT}, digest {_TEXT}, size bigint NOT NULL, verdict {_TEXT}, reason {_TEXT}, kept boolean NOT NULL)
            PARTITION BY RANGE (number)""",
        "CREATE INDEX messages_id ON messages (id)",
        "CREATE INDEX messages_sender ON messages (sender, number)",
        "CREATE INDEX messages_sender_domain ON messages (sender_domain, number)",
        "CREATE INDEX messages_client ON messages (client, number)",
        "CREATE INDEX messages_message_id ON messages (message_id) WHERE message_id <> ''",
        "CREATE INDEX messages_verdict ON messages (verdict, number)",
        "CREATE INDEX messages_digest ON messages (digest)",
        "CREATE INDEX messages_kept ON messages (number) WHERE kept",
        "CREATE INDEX messages_subject ON messages USING gin (lower(subject) public.gin_trgm_ops)",
        f"""CREATE TABLE recipients (
            message bigint NOT NULL, address {_TEXT}, domain {_TEXT}, direction {_TEXT}, state {_TEXT}, rule {_TEXT},
            PRIMARY KEY (message, address)) PARTITION BY RANGE (message)""",
        "CREATE INDEX recipients_address ON recipients (address, message)",
        "CREATE INDEX recipients_domain ON recipients (domain, message)",
        "CREATE INDEX recipients_state ON recipients (state, message)",
        f"CREATE TABLE findings (message bigint NOT NULL, kind {_TEXT}, name {_TEXT}, source {_TEXT}) PARTITION BY RANGE (message)",
        "CREATE INDEX findings_name ON findings (name, message)",
        "CREATE INDEX findings_source ON findings (source, message)",
        _OPEN,
        _FORGET,
        "REVOKE EXECUTE ON FUNCTION open_span(bigint), forget(bigint) FROM PUBLIC",
    ),
)

ROLES = (
    f"GRANT USAGE ON SCHEMA {SCHEMA} TO {NODE}, {READER}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {NODE}, {READER}",
    f"GRANT INSERT ON nodes, events, messages, recipients, findings TO {NODE}",
    f"GRANT UPDATE (number, sequence, hash) ON nodes TO {NODE}",
    f"GRANT UPDATE (state) ON recipients TO {NODE}",
    f"GRANT UPDATE (kept) ON messages TO {NODE}",
    f"GRANT EXECUTE ON FUNCTION open_span(bigint), forget(bigint) TO {NODE}",
)
"""What the two roles may. Nobody but the owner may change or remove an event."""


def version(connection: Connection) -> int:
    """The version of the tables; 0 where there are none."""
    try:
        found = connection.execute("SELECT version FROM migrated").fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return 0
    return found[0] if found else 0


def migrate(connection: Connection, span: int) -> None:
    """Bring the tables up to date; `connection` is in autocommit mode. A new journal gets partitions of `span` numbers each."""
    if version(connection) == len(MIGRATIONS):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.execute("CREATE TABLE IF NOT EXISTS migrated (version int NOT NULL)")
        connection.execute("INSERT INTO migrated SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM migrated)")
    while _step(connection, span):
        pass


def _step(connection: Connection, span: int) -> bool:
    """Do the next migration, if there is one."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        now = version(connection)
        if now > len(MIGRATIONS):
            raise JournalError(
                "newer", f"the journal was made by a newer Gatepost (version {now} of its tables); install that, or restore a backup"
            )
        if now == len(MIGRATIONS):
            return False
        for statement in MIGRATIONS[now]:
            connection.execute(statement.replace("{span}", str(span)).encode())
        connection.execute("UPDATE migrated SET version = %s", [now + 1])
    return True


def grant(connection: Connection) -> None:
    """Make the two roles where they are missing, and say what they may; for the owner of the tables."""
    for role in (NODE, READER):
        try:
            connection.execute(f"CREATE ROLE {role} NOLOGIN")
        except errors.DuplicateObject:
            continue
    for statement in ROLES:
        connection.execute(statement.encode())


def owned(connection: psycopg.Connection) -> bool:
    """Whether this user may change the tables, or make them where there are none."""
    found = connection.execute("SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = %s", [SCHEMA]).fetchone()
    return found is None or bool(found[0])
