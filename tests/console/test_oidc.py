"""Login at a provider of the organisation, tried with a small provider on this machine: only what it signs for us, now and once, lets in."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.support.console import PASSWORD, House

from gatepost.console.rights import Role

joserfc = pytest.importorskip("joserfc", reason="needs gatepost[oidc]")

from joserfc import jwt  # noqa: E402
from joserfc.jwk import KeySet, RSAKey  # noqa: E402

from gatepost.console.oidc import OidcProvider  # noqa: E402


@dataclass
class Issuer:
    """A provider: answers discovery, keys and code exchange. `claims` replace what the ID token says; None leaves one out."""

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    claims: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    signer: Any = None
    asked: dict[str, list[str]] = field(default_factory=dict)
    url: str = ""

    def token(self) -> str:
        (nonce,) = parse_qs(urlsplit(self.begun).query)["nonce"]
        usual = {
            "iss": self.url,
            "aud": "gatepost",
            "nonce": nonce,
            "exp": self.now + 300,
            "email": "anna@widget.example",
            "email_verified": True,
        }
        said = {name: value for name, value in (usual | self.claims).items() if value is not None}
        return jwt.encode({"alg": self.algorithm, "kid": "1"}, said, self.signer or self.key, algorithms=[self.algorithm])

    begun: str = ""
    now: int = 0


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def _say(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            if self.path.startswith("/keys"):
                self._say(KeySet([made.key]).as_dict(private=False))
            else:
                paths = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
                self._say({"issuer": made.url} | {name: made.url + path for name, path in paths.items()})

        def do_POST(self) -> None:
            made.asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._say({"id_token": made.token()})

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def anna(home: House, issuer: Issuer) -> House:
    home.console.accounts.add("anna", Role.USER, PASSWORD, "anna@widget.example")
    home.console.provider = OidcProvider(issuer.url, "gatepost", "s3cret", "email", home.console.sessions, home.clock)
    issuer.now = int(home.clock.now)
    return home


def go(house: House, issuer: Issuer, **changes: str):
    """Go to the provider and come back as a browser does."""
    client = house.client()
    issuer.begun = client.get("/login/provider").headers["location"]
    asked = parse_qs(urlsplit(issuer.begun).query)
    back = {"code": "c0de", "state": asked["state"][0]} | changes
    return client, client.get("/login/provider/back", params=back)


def test_whoever_the_provider_vouches_for_is_in_with_the_role_of_the_own_account(anna: House, issuer: Issuer) -> None:
    client, answer = go(anna, issuer)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get("/quarantine").status_code == 200
    assert client.get("/people").status_code == 403
    asked = parse_qs(urlsplit(issuer.begun).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert issuer.asked["client_secret"] == ["s3cret"]
    assert issuer.asked["code_verifier"][0] not in issuer.begun


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "somebody-else"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"exp": None},
        {"email_verified": False},
        {"email_verified": None},
        {"email": None},
    ],
    ids=str,
)
def test_what_is_not_for_us_now_and_sure_lets_nobody_in(anna: House, issuer: Issuer, claims: dict[str, Any]) -> None:
    issuer.claims = claims
    client, answer = go(anna, issuer)

    assert answer.status_code == 401
    assert "gatepost" not in client.cookies


def test_a_token_signed_by_another_key_or_not_at_all_lets_nobody_in(anna: House, issuer: Issuer) -> None:
    issuer.signer = RSAKey.generate_key(2048, {"kid": "1"})
    assert go(anna, issuer)[1].status_code == 401
    issuer.token = lambda: "eyJhbGciOiJub25lIn0.e30."  # type: ignore[method-assign]
    assert go(anna, issuer)[1].status_code == 401


def test_a_login_comes_back_to_the_browser_that_began_it_and_once(anna: House, issuer: Issuer) -> None:
    client, answer = go(anna, issuer)
    state = parse_qs(urlsplit(issuer.begun).query)["state"][0]

    assert answer.status_code == 303
    client.cookies.set("gatepost-state", state)
    assert client.get("/login/provider/back", params={"code": "c0de", "state": state}).status_code == 401
    assert go(anna, issuer, state="made-up")[1].status_code == 403


def test_who_has_no_account_here_stays_outside(anna: House, issuer: Issuer) -> None:
    issuer.claims = {"email": "mallory@evil.example"}

    assert go(anna, issuer)[1].status_code == 403


def test_a_provider_that_does_not_answer_is_said_and_the_password_still_works(anna: House, issuer: Issuer) -> None:
    anna.console.provider = OidcProvider("http://127.0.0.1:9", "gatepost", "", "email", anna.console.sessions, anna.clock)

    assert anna.client().get("/login/provider").status_code == 502
    anna.console.provider = OidcProvider("http://provider.example", "gatepost", "", "email", anna.console.sessions, anna.clock)
    assert "https" in anna.client().get("/login/provider").text
