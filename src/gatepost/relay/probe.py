"""Running the open-relay probes against a relay: each in a session of its own, ended before anything is sent.

What it does: greets, gives the envelope, notes the answer to RCPT, and hangs up: no mail is ever sent.
Not its job: what is asked (`probes`).
Raises: `ProbeError` when the relay cannot be reached, for then nothing was probed.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterable
from dataclasses import dataclass

from gatepost.relay.probes import Probe

TIMEOUT = 60.0
"""Seconds for each answer; relays make strangers wait on purpose."""
TAKEN, REFUSED = range(200, 300), range(500, 600)


class ProbeError(Exception):
    """The relay does not answer; the text names what to look at."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a relay said to one probe. Neither `refused` nor `taken` says that it put the question off, which proves nothing."""

    probe: Probe
    code: int
    text: str

    @property
    def refused(self) -> bool:
        """Whether the envelope was turned away for good, at whichever step."""
        return self.code in REFUSED

    @property
    def taken(self) -> bool:
        """Whether the relay would carry the mail."""
        return self.code in TAKEN


def run(host: str, port: int, wanted: Iterable[Probe], source: str = "", helo: str = "probe.relay-test.invalid") -> list[Outcome]:
    """Every probe's outcome; `source` is the local address to send from ("" leaves it to the system). Raises ProbeError."""
    return [_one(host, port, probe, source, helo) for probe in wanted]


def _one(host: str, port: int, probe: Probe, source: str, helo: str) -> Outcome:
    client = smtplib.SMTP(timeout=TIMEOUT, source_address=(source, 0) if source else None)
    try:
        code, text = client.connect(host, port)
        if code in TAKEN:
            client.ehlo(helo)
            code, text = _envelope(client, probe)
        return Outcome(probe, code, text.decode("utf-8", "replace").replace("\n", " "))
    except smtplib.SMTPServerDisconnected:
        return Outcome(probe, 421, "the relay hung up")
    except OSError as error:
        raise ProbeError(
            f"{host}:{port} does not answer ({error}); is the relay running, and does the firewall let this host reach it?"
        ) from None
    finally:
        client.close()


def _envelope(client: smtplib.SMTP, probe: Probe) -> tuple[int, bytes]:
    code, text = client.docmd("MAIL", f"FROM:{probe.sender}")
    if code not in TAKEN:
        return code, text
    return client.docmd("RCPT", f"TO:{probe.recipient}")
