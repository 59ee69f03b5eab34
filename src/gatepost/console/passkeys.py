"""Security keys (WebAuthn Level 2): after the password, a key that a false site cannot ask for takes the place of the one-time code.

What it does: makes what the browser hands to the key, judges what the key signed, remembers keys. Each challenge is used once.
Not its job: passwords (`accounts`), sessions (`sessions`), the screens (`screens.account`, `screens.login`).
Raises: `AccountError` for what a person can mend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.parse_authentication_credential_json import parse_authentication_credential_json
from webauthn.helpers.parse_registration_credential_json import parse_registration_credential_json
from webauthn.helpers.structs import PublicKeyCredentialDescriptor, PublicKeyCredentialType

from gatepost.console.accounts import AccountError
from gatepost.console.database import Database
from gatepost.console.sessions import Link, Sessions

SECONDS = 300.0
"""How long a challenge is good."""
MOST_KEYS = 10
CHALLENGE = "challenge"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the browser is: the host's name, to which keys are bound, and its origin."""

    host: str
    origin: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """One key of somebody: its id, the name that they gave it, and when it was added (seconds since the epoch)."""

    id: str
    label: str
    created: float


class Passkeys:
    """All keys of a site. `now` gives seconds since the epoch."""

    def __init__(self, database: Database, sessions: Sessions, now: Callable[[], float], site: str) -> None:
        self._database = database
        self._sessions = sessions
        self._now = now
        self._site = site

    def of(self, user: str) -> list[Passkey]:
        """The keys of somebody, oldest first."""
        rows = self._database.rows("SELECT id, label, created FROM passkeys WHERE user = ? ORDER BY created", user)
        return [Passkey(row["id"], row["label"], row["created"]) for row in rows]

    def _descriptors(self, user: str) -> list[PublicKeyCredentialDescriptor]:
        return [PublicKeyCredentialDescriptor(base64url_to_bytes(one.id), PublicKeyCredentialType.PUBLIC_KEY) for one in self.of(user)]

    def _challenge(self, user: str, purpose: str) -> bytes:
        return self._sessions.make_link(Link(CHALLENGE, user, purpose), SECONDS).encode()

    def _spent(self, given: bytes, user: str, purpose: str) -> bytes:
        """The challenge that the key signed, which was ours, for this person and purpose, and is now used up."""
        link = self._sessions.use_link(given.decode("ascii", "replace"))
        if link != Link(CHALLENGE, user, purpose):
            raise AccountError("the security key answered too late; try again")
        return given

    def new(self, user: str, place: Place) -> str:
        """What the browser needs to add a key, as JSON."""
        options = generate_registration_options(
            rp_id=place.host,
            rp_name=f"Gatepost {self._site}",
            user_name=user,
            user_id=user.encode(),
            challenge=self._challenge(user, "add"),
            exclude_credentials=self._descriptors(user),
        )
        return options_to_json(options)

    def add(self, user: str, given: str, label: str, place: Place) -> None:
        """Remember the key that signed."""
        if len(self.of(user)) >= MOST_KEYS:
            raise AccountError("there are ten keys already; remove one first")
        try:
            parsed = parse_registration_credential_json(given)
            challenge = self._spent(parse_client_data_json(parsed.response.client_data_json).challenge, user, "add")
            found = verify_registration_response(
                credential=parsed, expected_challenge=challenge, expected_rp_id=place.host, expected_origin=place.origin
            )
        except WebAuthnException:
            raise AccountError("the security key was not added: its answer does not fit this site") from None
        values = (bytes_to_base64url(found.credential_id), user, label[:64] or "key", found.credential_public_key)
        self._database.run("INSERT INTO passkeys VALUES (?, ?, ?, ?, ?, ?)", *values, found.sign_count, self._now())

    def remove(self, user: str, identifier: str) -> None:
        """Forget one key of somebody."""
        if not self._database.run("DELETE FROM passkeys WHERE user = ? AND id = ?", user, identifier):
            raise AccountError("there is no such key")

    def asking(self, user: str, place: Place) -> str:
        """What the browser needs to ask one of somebody's keys, as JSON."""
        challenge = self._challenge(user, "login")
        return options_to_json(
            generate_authentication_options(rp_id=place.host, challenge=challenge, allow_credentials=self._descriptors(user))
        )

    def prove(self, user: str, given: str, place: Place) -> None:
        """That one of somebody's keys signed; a count that does not rise is a copied key (WebAuthn 6.1.1)."""
        try:
            parsed = parse_authentication_credential_json(given)
            rows = self._database.rows("SELECT * FROM passkeys WHERE user = ? AND id = ?", user, bytes_to_base64url(parsed.raw_id))
            if not rows:
                raise AccountError("this security key is not known here")
            challenge = self._spent(parse_client_data_json(parsed.response.client_data_json).challenge, user, "login")
            found = verify_authentication_response(
                credential=parsed,
                expected_challenge=challenge,
                expected_rp_id=place.host,
                expected_origin=place.origin,
                credential_public_key=rows[0]["public"],
                credential_current_sign_count=rows[0]["count"],
            )
        except WebAuthnException:
            raise AccountError("the security key did not prove who you are") from None
        self._database.run("UPDATE passkeys SET count = ? WHERE id = ?", found.new_sign_count, rows[0]["id"])
