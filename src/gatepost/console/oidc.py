"""Login at the organisation's own provider (OpenID Connect Core 1.0, authorization code flow with PKCE, RFC 7636). Optional.

What it does: sends the browser to the provider, exchanges the code it comes back with, and believes nothing but a signed ID token that is
for us, fresh, and answers our nonce. It says a name; who that is here, and which role it has, our own accounts say.
Not its job: making accounts, sessions.
Raises: `ProviderError` with a sentence for the person who logs in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gatepost.console.desk import ProviderError
from gatepost.console.sessions import Link, Sessions

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures with a public key only: with a shared secret everybody who checks could sign (RFC 8725 3.1)."""
SECONDS = 600.0
"""How long somebody may take at the provider."""
TIMEOUT = 10.0
LARGEST = 1 << 20
REMEMBERED = 3600.0
"""Seconds for which the provider's description and keys are not asked again."""
LEEWAY = 60
KIND = "oidc"
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(slots=True, eq=False)
class OidcProvider:
    """One provider; satisfies `desk.Provider`: its issuer, our name and secret there, and which claim names the account here. `now` gives seconds since the epoch."""

    issuer: str
    client: str
    secret: str
    claim: str
    sessions: Sessions
    now: Callable[[], float]
    _kept: dict[str, tuple[float, Any]] = field(default_factory=dict)

    def begin(self, back: str) -> tuple[str, str]:
        """Where to send the browser, and the state that it must bring `back`; nonce and verifier stay here."""
        nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        state = self.sessions.make_link(Link(KIND, nonce, verifier), SECONDS)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": back,
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._about()['authorization_endpoint']}?{urlencode(asked)}", state

    def finish(self, state: str, code: str, back: str) -> str:
        """The name of the account that the provider vouches for."""
        link = self.sessions.use_link(state)
        if link is None or link.kind != KIND or not code:
            raise ProviderError("This login took too long or was used already; begin again.")
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "client_id": self.client,
            "client_secret": self.secret,
            "code_verifier": link.recipient,
        }
        token = self._fetch(self._about()["token_endpoint"], sent).get("id_token", "")
        return self._name(self._claims(str(token), link.subject))

    def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        rules = jwt.JWTClaimsRegistry(
            now=lambda: int(self.now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client},
            nonce={"essential": True, "value": nonce},
            exp={"essential": True},
        )
        try:
            found = jwt.decode(token, KeySet.import_key_set(self._remembered("jwks_uri")), algorithms=list(ALGORITHMS)).claims
            rules.validate(found)
        except (JoseError, ValueError) as error:
            raise ProviderError(f"What the provider signed does not hold: {error}") from None
        return found

    def _name(self, claims: Mapping[str, Any]) -> str:
        if self.claim == "email" and claims.get("email_verified") is not True:
            raise ProviderError("The provider does not vouch for this mail address.")
        name = claims.get(self.claim)
        if not isinstance(name, str) or not name:
            raise ProviderError(f"The provider does not say your {self.claim}.")
        return name.lower()

    def _about(self) -> Mapping[str, Any]:
        """What the provider says of itself (OpenID Connect Discovery 1.0 4)."""
        if self._is_old("about"):
            found = self._fetch(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.issuer:
                raise ProviderError("The provider calls itself by another name than the site file.")
            self._kept["about"] = self.now(), found
        about: Mapping[str, Any] = self._kept["about"][1]
        return about

    def _remembered(self, name: str) -> Any:
        if self._is_old(name):
            self._kept[name] = self.now(), self._fetch(self._about()[name])
        return self._kept[name][1]

    def _is_old(self, name: str) -> bool:
        return name not in self._kept or self.now() - self._kept[name][0] > REMEMBERED

    def _fetch(self, address: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A JSON object of the provider, over TLS unless it is this machine."""
        split = urlsplit(address)
        if split.scheme != "https" and not (split.scheme == "http" and split.hostname in LOCAL):
            raise ProviderError("The provider must be reached by https.")
        request = urllib.request.Request(address, urlencode(form).encode() if form else None)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                found = json.loads(answer.read(LARGEST))
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise ProviderError(f"The provider does not answer as it should: {error}") from None
        if not isinstance(found, dict):
            raise ProviderError("The provider does not answer as it should.")
        return found
