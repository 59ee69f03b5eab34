"""The watch: sends the live canary and has the keeper write down what it showed; answers Prometheus.

What it does: every interval one canary with the EICAR test file and one without go to our own SMTP listener, and through the MTA that
calls our milter where the site names one. Whoever takes the infected one, or refuses the clean one, is an alarm. So are old signatures.
Not its job: the canary itself (`canary`), figures (`metrics`).
Raises: nothing; what goes wrong is what it is here to tell.
"""

from __future__ import annotations

import datetime as dt
import logging
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gatepost.deploy.doctor.licence import ENDS, stage
from gatepost.mail.inspect import registry
from gatepost.mail.inspect.engine import EngineError
from gatepost.services import canary, metrics
from gatepost.services.keeper import KeeperError, ask_once, introduced
from gatepost.services.lines import Lines
from gatepost.services.messages import Health, Look, Note
from gatepost.signatures.store import Store
from gatepost.signatures.update import OLD, OLD_SIGNATURES, STALE, age
from gatepost.site.base import parse_endpoint
from gatepost.site.mail import ANTIVIRUS
from gatepost.site.model import Site
from gatepost.system import manager

log = logging.getLogger(__name__)

FIRST = 10.0
"""Seconds after the start until the first canary: the front is up by then."""

AGAIN = 60.0
"""Seconds after a canary that failed until the next, if the interval is not shorter."""

SECONDS = 120.0
"""Seconds that the gateway has to answer a canary."""

ALIVE = 20.0
"""Seconds between two signs of life for the service manager."""

REMEMBER = 300.0
"""Seconds for which the age of signatures is not asked again."""

PAGE = "/metrics"


def sing(site: Site, secret: bytes) -> str:
    """Send one round of canaries; what is wrong, "" when all is well."""
    for place, direct in _ways(site):
        for infected in (True, False):
            wrong = _send(site, canary.make(secret, site.postmaster, time.time(), infected=infected), place, direct=direct)
            if wrong:
                return f"{wrong} (asked {place})"
    return ""


def _ways(site: Site) -> Iterator[tuple[str, bool]]:
    """Where canaries go, and whether it is ourselves who answer there."""
    if site.mail.smtp.listen:
        yield site.mail.smtp.listen, True
    if site.canary.through:
        yield site.canary.through, False


def _send(site: Site, sent: canary.Sent, place: str, *, direct: bool) -> str:
    endpoint = parse_endpoint(place, 25)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.host, endpoint.host)  # noqa: S104 where we listen, not what we bind
    try:
        with smtplib.SMTP(host, endpoint.port, timeout=SECONDS) as client:
            client.ehlo()
            for code, answer in (client.mail(site.postmaster), client.rcpt(site.postmaster)):
                if code != 250:  # noqa: PLR2004 RFC 5321 4.2.1
                    return f"the canary is not taken: {code} {answer.decode(errors='replace')}"
            code, answer = client.data(sent.content)
    except (smtplib.SMTPException, OSError) as error:
        return f"the canary got no answer: {error}"
    return canary.wrong(sent, code, answer.decode(errors="replace"), canary.expected(site), direct=direct)


def _tell(keep: Path, wrong: str) -> None:
    text = wrong or "the test virus was stopped, the clean mail was not"
    log.log(logging.ERROR if wrong else logging.DEBUG, "canary: %s", text)
    _note(keep, Note(canary.FAILED if wrong else canary.PASSED, "canary", {"text": text}))


def _note(keep: Path, note: Note) -> None:
    try:
        ask_once(keep, note)
    except (KeeperError, OSError) as error:
        log.error("%s of %s is not in the journal: %s", note.kind, note.subject, error)  # noqa: TRY400 the reason is all there is


def ages(site: Site, now: float) -> dict[str, float]:
    """Seconds since the signatures of each engine, and each set of signatures, were made."""
    found = {f"engine {name}": now - at for name, at in _signatures(site)}
    for name in site.signatures:
        current = Store(Path(site.site.state) / "signatures" / name).current()
        if current is not None:
            found[f"set {name}"] = age(current, now)
    return found


def _warn(keep: Path, told: dict[str, float], found: dict[str, float]) -> dict[str, float]:
    """Have the administrator told when signatures become old, and once more when they become stale; gives what was told."""
    crossed = {name: max(bound for bound in (0.0, OLD, STALE) if seconds >= bound) for name, seconds in found.items()}
    for name, bound in crossed.items():
        if bound > told.get(name, 0.0):
            _note(keep, Note(OLD_SIGNATURES, name, {"text": f"older than {bound / 3600:.0f} hours"}))
    return crossed


def _warn_of_licences(site: Site, keep: Path, told: dict[str, str], today: dt.date) -> dict[str, str]:
    """Have the administrator told when an engine's licence comes near its end, and when it is over; gives what was told."""
    said = {name: stage(one.licence_until, today) for name, one in site.engines.items() if one.enabled and one.licence_until}
    for name, text in said.items():
        if text and told.get(name) != text:
            _note(keep, Note(ENDS, f"engine {name}", {"text": text}))
    return said


class _Figures:
    """Makes the page for Prometheus; remembers what is dear to ask."""

    def __init__(self, site: Site, keep: Path) -> None:
        self._site = site
        self._keep = keep
        self._signatures: dict[str, float] = {}
        self._asked = 0.0

    def page(self) -> bytes:
        """The page. Raises KeeperError, OSError when nobody can say."""
        health = ask_once(self._keep, Look())
        assert isinstance(health, Health)
        if time.monotonic() - self._asked > REMEMBER:
            now = time.time()
            self._signatures = {name.removeprefix("engine "): now - seconds for name, seconds in ages(self._site, now).items()}
            self._asked = time.monotonic()
        return metrics.page(health, Path(self._site.site.state), self._signatures)


def _signatures(site: Site) -> Iterator[tuple[str, float]]:
    """Times of the signatures of those antivirus engines that are reached by a socket; others would be loaded only to be asked."""
    for name, engine in site.engines.items():
        if engine.enabled and (engine.kind or name) in ANTIVIRUS and "socket" in engine.options:
            try:
                at = registry.make(engine.kind or name, name, engine.options).info().signatures_at
            except EngineError:
                continue
            if at:
                yield name, at


def _answer(listener: socket.socket, figures: _Figures) -> None:
    """Answer Prometheus on an inherited socket, for ever."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != PAGE:
                self.send_error(404, f"ask for {PAGE}")
                return
            try:
                content = figures.page()
            except (KeeperError, OSError) as error:
                self.send_error(503, str(error).splitlines()[0])
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, _format: str, *_arguments: object) -> None:
            """Say nothing: somebody asks every few seconds."""

    server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever()


def _rest(seconds: float) -> None:
    """Sleep, and say meanwhile that we live."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        manager.alive()
        time.sleep(min(ALIVE, left))


def _watch_lines(site: Site, keep: Path) -> None:
    """Try the lines of the site, for ever."""
    lines = Lines(site.watch)
    while True:
        for note in lines.look():
            log.warning("%s: %s", note.kind, note.subject)
            _note(keep, note)
        time.sleep(site.watch.interval)


def run(site: Site, listener: socket.socket | None, keep: Path) -> None:
    """Be the watch until SIGTERM; `listener` is where Prometheus asks, `keep` the keeper's socket."""
    secret = introduced(keep).canaries
    manager.ready()
    if listener is not None:
        threading.Thread(target=_answer, args=(listener, _Figures(site, keep)), daemon=True).start()
    if site.watch.lines:
        threading.Thread(target=_watch_lines, args=(site, keep), daemon=True).start()
    _rest(min(FIRST, site.canary.interval))
    told: dict[str, float] = {}
    licences: dict[str, str] = {}
    while True:
        wrong = sing(site, secret) if site.canary.enabled and canary.has_way(site) else None
        if wrong is not None:
            _tell(keep, wrong)
        told = _warn(keep, told, ages(site, time.time()))
        licences = _warn_of_licences(site, keep, licences, dt.datetime.now(dt.UTC).date())
        _rest(min(AGAIN, site.canary.interval) if wrong else site.canary.interval)
