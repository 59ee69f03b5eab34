"""What the gateway's numbers mean, in one sentence.

Not its job: asking for them (`keeper`).
Raises: nothing.
"""

from __future__ import annotations

from gatepost.services.messages import Health

SILENT = 10.0
"""Seconds without a heartbeat after which the front counts as dead."""


def judge(health: Health, now: float) -> tuple[str, bool]:
    """What the numbers mean, and whether all is well."""
    beat = health.beat
    if beat is None or now - beat.at > SILENT:
        return "no mail is taken: the front does not answer", False
    if not beat.workers:
        return "no mail is taken: no scan worker lives; senders are asked to come again", False
    if health.canary is not None and not health.canary.well:
        return f"the canary is not well: {health.canary.text}", False
    if health.canary_due and now > health.canary_due:
        return "nobody knows whether mail is scanned: the canary is silent", False
    return "mail is taken, and all of it is scanned before it is delivered", True
