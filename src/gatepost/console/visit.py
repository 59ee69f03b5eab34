"""One visit to one screen: who asks for what, and how to answer.

What it does: carries everything a screen needs; renders pages in the visitor's language, redirects, says what went wrong.
Not its job: letting somebody in (`door`).
Raises: `Refused`, which the door turns into a page with that status.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gatepost.console.accounts import Accounts, User
from gatepost.console.desk import Desk, Provider
from gatepost.console.passkeys import Passkeys
from gatepost.console.rights import Right, may
from gatepost.console.sessions import Session, Sessions
from gatepost.journal.interface import Journal
from gatepost.report import story
from gatepost.site.model import Site

SEE_OTHER = 303

MENU = (
    (Right.OVERVIEW, "/overview", "Overview"),
    (Right.MESSAGES, "/messages", "Messages"),
    (Right.QUARANTINE, "/quarantine", "Quarantine"),
    (Right.NETWORK, "/firewall", "Firewall"),
    (Right.NETWORK, "/integrity", "Integrity"),
    (Right.NETWORK, "/engines", "Signatures"),
    (Right.REPORTS, "/reports", "Reports"),
    (Right.RISKS, "/risks", "Risks"),
    (Right.NETWORK, "/site", "Site"),
    (Right.PEOPLE, "/people", "People"),
)
"""The screens by the right that they need."""

THEMES = ("auto", "light", "dark")
LANGUAGES = ("en", "de")


class Refused(Exception):  # noqa: N818 - what happened, not what went wrong with us
    """The visit ends here, with this status and sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Contents(Protocol):
    """Where the bytes of held mail come from."""

    def get(self, digest: str) -> bytes:
        """The bytes whose SHA-256 is `digest`. Raises ContentError."""
        ...


@dataclass(slots=True, eq=False)
class Console:
    """What all visits share. `contents` gives the bytes of held mail, `now` seconds since the epoch."""

    site: Site
    journal: Journal
    contents: Contents
    desk: Desk
    accounts: Accounts
    sessions: Sessions
    now: Callable[[], float]
    passkeys: Passkeys
    provider: Provider | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    """What is dear to compute and the same for everybody, by its name."""


@dataclass(slots=True, eq=False)
class Visit:
    """One request. `form` is empty unless something was sent, `token` is the session's."""

    console: Console
    request: Request
    session: Session | None
    token: str
    form: FormData
    right: Right

    @property
    def user(self) -> User:
        """Who asks; the door lets nobody to a screen that needs a person without one."""
        assert self.session is not None
        return self.session.user

    @property
    def client(self) -> str:
        """From which address the visitor comes."""
        return self.request.client.host if self.request.client else ""

    @property
    def language(self) -> str:
        """The visitor's choice, or the site's."""
        chosen = self.request.cookies.get("language", "")
        return chosen if chosen in LANGUAGES else self.console.site.console.language

    @property
    def theme(self) -> str:
        """The visitor's choice."""
        chosen = self.request.cookies.get("theme", "")
        return chosen if chosen in THEMES else "auto"

    def may(self, right: str) -> bool:
        """Whether the visitor may do this."""
        return may(self.session.user.role if self.session else None, Right(right))

    def asked(self, name: str) -> str:
        """A parameter of the address, "" when it is not there."""
        return str(self.request.query_params.get(name, "")).strip()

    def sent(self, name: str) -> str:
        """A field of the form, "" when it is not there."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""

    def all_sent(self, name: str) -> list[str]:
        """All fields of the form with that name."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def words(self, text: str, **values: object) -> str:
        """A text of ours in the visitor's language, with values in its places."""
        found = _catalogues().get(self.language, {}).get(text, text)
        return found.format(**values) if values else found

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        """A page."""
        shown = _environment().get_template(template).render(visit=self, t=self.words, story=story, screens=MENU, **values)
        return HTMLResponse(shown, status)

    def go(self, path: str, **parameters: str) -> Response:
        """Send the visitor to another screen."""
        return RedirectResponse(f"{path}?{urlencode(parameters)}" if parameters else path, SEE_OTHER)

    def with_parameters(self, **changes: object) -> str:
        """The address of the screen with some parameters changed; empty ones are left out."""
        now: dict[str, Any] = {name: self.request.query_params.getlist(name) for name in self.request.query_params if name != "before"}
        kept = {name: value for name, value in (now | changes).items() if value}
        return f"{self.request.url.path}?{urlencode(kept, doseq=True)}" if kept else self.request.url.path


_MADE: dict[str, Any] = {}


def _environment() -> Environment:
    """The templates; everything in them is escaped unless it says otherwise, and a name that is not there is an error."""
    if "environment" not in _MADE:
        environment = Environment(
            loader=PackageLoader("gatepost.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters |= {"moment": story.moment, "number": lambda value: f"{value:,}", "printable": story.printable}
        _MADE["environment"] = environment
    found: Environment = _MADE["environment"]
    return found


def _catalogues() -> Mapping[str, Mapping[str, str]]:
    if "catalogues" not in _MADE:
        folder = Path(__file__).parent / "languages"
        _MADE["catalogues"] = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    found: Mapping[str, Mapping[str, str]] = _MADE["catalogues"]
    return found
