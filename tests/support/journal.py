"""Events as the gateway writes them, for tests of everything that reads the journal."""

from __future__ import annotations

from typing import Any

from gatepost.journal.event import Event, new_id


def judged(number: int = 0, state: str = "delivered", **changes: Any) -> Event:
    """The event of one mail for one recipient; `changes` replace parts of its data."""
    at = 1_700_000_000.0 + number
    data: dict[str, Any] = {
        "sender": "Ann@partner.example",
        "envelope": ["Joe@widget.example"],
        "recipients": [recipient(state=state)],
        "client": "203.0.113.5",
        "client_name": "mx.partner.example",
        "helo": "mx.partner.example",
        "user": "",
        "queue_id": "4F1",
        "sender_parameters": [],
        "recipient_parameters": [],
        "subject": f"Offer number {number}",
        "message_id": f"<{number}@partner.example>",
        "digest": f"{number:064x}",
        "size": 1000,
        "seconds": 0.01,
        "findings": [],
        "engines": [{"name": "yara", "version": "1", "state": "clean", "seconds": 0.001, "signatures": ""}],
        "reply": "250 2.0.0 accepted",
        "kept": state == "quarantined",
    }
    return Event(at, "mail.judged", new_id(at, number), data | changes)


def recipient(
    address: str = "joe@widget.example", state: str = "delivered", direction: str = "inbound", disposition: str = "deliver"
) -> dict[str, str]:
    """One recipient of a judged mail."""
    return {"address": address, "direction": direction, "disposition": disposition, "rule": "clean", "state": state}


def finding(kind: str = "virus", name: str = "Eicar-Test", source: str = "clamav") -> dict[str, Any]:
    """One finding of a judged mail."""
    return {"kind": kind, "name": name, "part": "2", "source": source, "detail": "", "score": 0.0}
