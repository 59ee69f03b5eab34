"""Sessions and one-time links: random tokens that stand for a person or for one deed. The file holds only their digests.

What it does: begins, finds and ends sessions, with an idle and an absolute end; makes links that act once.
Not its job: cookies (`door`), who somebody is (`accounts`).
Raises: nothing of its own.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.console.accounts import USERS, User, user_of
from gatepost.console.database import Database

REFRESH = 30.0
"""Seconds between two notes that a session is in use."""


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in person; `form` must come with every form that they send."""

    user: User
    form: str


@dataclass(frozen=True, slots=True)
class Link:
    """What a one-time link stands for, of which mail or user, for which recipient.

    "release" and "login" are links for people, "api" is a program's token, "half" a login that lacks its key, "challenge" what a key must
    sign, "oidc" a login at the provider.
    """

    kind: str
    subject: str
    recipient: str


class Sessions:
    """All sessions and links. `idle` and `longest` are seconds, `now` gives seconds since the epoch."""

    def __init__(self, database: Database, now: Callable[[], float], idle: float, longest: float) -> None:
        self._database = database
        self._now = now
        self._idle = idle
        self._longest = longest

    def begin(self, user: str, client: str) -> str:
        """Begin a session and give its token, which nobody has seen before."""
        token = secrets.token_urlsafe(32)
        self._database.run("DELETE FROM sessions WHERE created < ? OR seen < ?", self._now() - self._longest, self._now() - self._idle)
        self._database.run("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", digest(token), user, self._now(), self._now(), client)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token, unless it is over; finding it keeps it alive."""
        sql = f"SELECT * FROM sessions JOIN ({USERS}) ON name = user WHERE digest = ? AND sessions.created >= ? AND seen >= ?"  # noqa: S608
        now = self._now()
        rows = self._database.rows(sql, digest(token), now - self._longest, now - self._idle)
        if not rows:
            return None
        row = rows[0]
        if now - row["seen"] > REFRESH:
            self._database.run("UPDATE sessions SET seen = ? WHERE digest = ?", now, row["digest"])
        return Session(user_of(row), digest("form " + token))

    def of_program(self, token: str) -> Session | None:
        """The session of a program that brings its token with every request; it has no form mark, since it has no forms."""
        link = self.link(token)
        rows = self._database.rows(f"{USERS} WHERE name = ?", link.subject) if link and link.kind == "api" else []
        return Session(user_of(rows[0]), "") if rows else None

    def end(self, token: str) -> None:
        """End a session."""
        self._database.run("DELETE FROM sessions WHERE digest = ?", digest(token))

    def end_all(self, user: str) -> None:
        """End all sessions of a user."""
        self._database.run("DELETE FROM sessions WHERE user = ?", user)

    def make_link(self, link: Link, seconds: float) -> str:
        """A token that does this once, within `seconds` from now."""
        token = secrets.token_urlsafe(32)
        values = (digest(token), link.kind, link.subject, link.recipient, self._now() + seconds)
        self._database.run("DELETE FROM links WHERE expires < ?", self._now())
        self._database.run("INSERT INTO links VALUES (?, ?, ?, ?, ?, 0)", *values)
        return token

    def link(self, token: str) -> Link | None:
        """What a token would do; looking uses nothing up."""
        rows = self._database.rows("SELECT * FROM links WHERE digest = ? AND expires >= ? AND NOT used", digest(token), self._now())
        return Link(rows[0]["kind"], rows[0]["subject"], rows[0]["recipient"]) if rows else None

    def use_link(self, token: str) -> Link | None:
        """What a token does, the first time only."""
        link = self.link(token)
        used = self._database.run("UPDATE links SET used = ? WHERE digest = ? AND NOT used", self._now(), digest(token))
        return link if used else None


def digest(token: str) -> str:
    """What of a token is kept: whoever reads the file cannot use it."""
    return hashlib.sha256(token.encode()).hexdigest()
