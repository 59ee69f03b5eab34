"""Accounts: who somebody is, proved by a password (argon2id, RFC 9106) and, where it is set up, a one-time code (TOTP, RFC 6238).

What it does: keeps users, checks logins, slows down guessing, writes down what people did.
Not its job: sessions (`sessions`), rights (`rights`).
Raises: `AccountError` for what a person can mend.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from gatepost.console.database import Database
from gatepost.console.rights import Role

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
WINDOW = 900.0
"""Seconds for which a failed login counts."""
MOST_PER_PAIR, MOST_PER_CLIENT, MOST_PER_NAME = 5, 30, 100
"""Failed logins in the window from which nobody is let in: for one name from one host, from one host, for one name from anywhere."""
STEP = 30
"""Seconds of one TOTP code."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash(secrets.token_hex())
"""Checked for names that do not exist, so that the answer takes as long."""


class AccountError(Exception):
    """An account cannot be made, changed or used that way."""


class KeyNeededError(Exception):
    """Name and password are right, and a security key of `user` must prove the rest."""

    def __init__(self, user: User) -> None:
        super().__init__(user.name)
        self.user = user


@dataclass(frozen=True, slots=True)
class User:
    """A person: name, role, for a USER the mail address whose quarantine is theirs, whether logins need a code, or may use a key."""

    name: str
    role: Role
    address: str = ""
    has_totp: bool = False
    has_keys: bool = False


USERS = "SELECT users.*, EXISTS (SELECT 1 FROM passkeys WHERE user = name) AS keys FROM users"


class Accounts:
    """All accounts of a site. `now` gives seconds since the epoch."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def add(self, name: str, role: Role, password: str, address: str = "") -> User:
        """Make an account."""
        if not _NAME.fullmatch(name):
            raise AccountError(f"{name!r} is no name; use small letters, digits, dot, minus and underscore")
        if role is Role.USER and "@" not in address:
            raise AccountError("a user needs a mail address, whose quarantine is theirs")
        if self.find(name):
            raise AccountError(f"there is a user {name!r} already")
        values = (name, role, address.lower(), _hash(password), self._now())
        self._database.run("INSERT INTO users VALUES (?, ?, ?, ?, '', 0, ?)", *values)
        return User(name, role, address.lower())

    def remove(self, name: str) -> None:
        """Remove an account and end its sessions."""
        if not self._database.run("DELETE FROM users WHERE name = ?", name):
            raise AccountError(f"there is no user {name!r}")

    def all(self) -> list[User]:
        """Everybody, by name."""
        return [user_of(row) for row in self._database.rows(USERS + " ORDER BY name")]

    def find(self, name: str) -> User | None:
        """The user of that name."""
        rows = self._database.rows(USERS + " WHERE name = ?", name)
        return user_of(rows[0]) if rows else None

    def of_provider(self, name: str) -> User | None:
        """The account that a provider means: by its name, or by the mail address of a user."""
        found = self.find(name)
        if found is None and "@" in name:
            same = [user for user in self.all() if user.address == name]
            found = same[0] if len(same) == 1 else None
        return found

    def set_password(self, name: str, password: str) -> None:
        """Give somebody a new password; all their sessions end."""
        if not self._database.run("UPDATE users SET hash = ? WHERE name = ?", _hash(password), name):
            raise AccountError(f"there is no user {name!r}")
        self._database.run("DELETE FROM sessions WHERE user = ?", name)

    def set_totp(self, name: str, secret: str, code: str) -> None:
        """From now on logins need a code of `secret`; `code` shows that the person's device has it. With "" and "" no longer."""
        if secret and not pyotp.TOTP(secret).verify(code):
            raise AccountError("this code does not fit; look whether the clocks agree")
        self._database.run("UPDATE users SET totp = ?, totp_step = 0 WHERE name = ?", secret, name)

    def login(self, name: str, password: str, code: str, client: str) -> User:
        """Who this is. Every wrong login gets the same answer, whatever was wrong with it.

        Raises KeyNeededError when a security key stands in for the code: where there are keys, a password alone is never enough.
        """
        if self._is_slowed(name, client):
            self.note(name, client, "login refused: too many failures")
            raise AccountError("too many failed logins; wait a quarter of an hour")
        user = self._proved(name, password, code)
        if user is None:
            self.failed(name, client, "login failed")
            raise AccountError("this name, password or code is not right")
        if user.has_keys and not (user.has_totp and code):
            raise KeyNeededError(user)
        self.let_in(name, client, "login")
        return user

    def let_in(self, name: str, client: str, how: str) -> None:
        """Write down that somebody was let in; their failures from there count no more."""
        self._database.run("DELETE FROM failures WHERE name = ? AND client = ?", name, client)
        self.note(name, client, how)

    def failed(self, name: str, client: str, how: str) -> None:
        """Write down a failed proof, which counts like a wrong password."""
        self._database.run("INSERT INTO failures VALUES (?, ?, ?)", self._now(), name[:64], client)
        self.note(name[:64], client, how)

    def _is_slowed(self, name: str, client: str) -> bool:
        since = self._now() - WINDOW
        self._database.run("DELETE FROM failures WHERE at < ?", since)
        sql = "SELECT sum(name = ? AND client = ?), sum(client = ?), sum(name = ?) FROM failures"
        pair, host, person = (count or 0 for count in tuple(self._database.rows(sql, name[:64], client, client, name[:64])[0]))
        return pair >= MOST_PER_PAIR or host >= MOST_PER_CLIENT or person >= MOST_PER_NAME

    def _proved(self, name: str, password: str, code: str) -> User | None:
        rows = self._database.rows(USERS + " WHERE name = ?", name)
        is_right = _is_right(rows[0]["hash"] if rows else _NOBODY, password)
        if not rows or not is_right:
            return None
        row = rows[0]
        user = user_of(row)
        if row["totp"] and not (user.has_keys and not code) and not self._is_new_code(name, row["totp"], row["totp_step"], code):
            return None
        if _HASHER.check_needs_rehash(row["hash"]):
            self._database.run("UPDATE users SET hash = ? WHERE name = ?", _HASHER.hash(password), name)
        return user

    def _is_new_code(self, name: str, secret: str, last: int, code: str) -> bool:
        """Whether the code is of this step or a neighbour, and of none that was used before (RFC 6238 5.2)."""
        now = int(self._now()) // STEP
        totp = pyotp.TOTP(secret)
        fits = [step for step in (now - 1, now, now + 1) if step > last and secrets.compare_digest(totp.at(step * STEP), code)]
        if not fits:
            return False
        return self._database.run("UPDATE users SET totp_step = ? WHERE name = ? AND totp_step < ?", fits[0], name, fits[0]) == 1

    def note(self, who: str, client: str, what: str, subject: str = "") -> None:
        """Write down what somebody did."""
        self._database.run("INSERT INTO deeds VALUES (?, ?, ?, ?, ?)", self._now(), who, client, what, subject)

    def deeds(self, limit: int = 200) -> list[tuple[float, str, str, str, str]]:
        """What people did, newest first: time, who, from where, what, to what."""
        rows = self._database.rows("SELECT at, who, client, what, subject FROM deeds ORDER BY at DESC, rowid DESC LIMIT ?", limit)
        return [(row["at"], row["who"], row["client"], row["what"], row["subject"]) for row in rows]


def user_of(row: sqlite3.Row) -> User:
    """The user of a row of USERS."""
    return User(row["name"], Role(row["role"]), row["address"], bool(row["totp"]), bool(row["keys"]))


def _hash(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise AccountError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; a sentence is easy to remember")
    return _HASHER.hash(password)


def _is_right(known: str, password: str) -> bool:
    try:
        return _HASHER.verify(known, password[:LONGEST_PASSWORD])
    except (VerifyMismatchError, InvalidHashError):
        return False
