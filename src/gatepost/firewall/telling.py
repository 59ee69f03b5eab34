"""A proof in sentences, and as plain data for programs.

Not its job: proving (`prove`), printing.
Raises: nothing.
"""

from __future__ import annotations

from gatepost.firewall.prove import Difference, Outcome, Proof
from gatepost.firewall.ruleset import Decision
from gatepost.firewall.words import packet_text

_HEADS = {
    Outcome.PROVED: "PROVED: the rules pass exactly what the site declares, in IPv4 and IPv6, and nothing else.",
    Outcome.DIFFERENT: "NOT PROVED: the rules do not do what the site declares. For example:",
    Outcome.REFUSED: "REFUSED: something is loaded that cannot be judged, so nothing is certified:",
}
_PATHS = {"forward": "Through the firewall", "input": "To the firewall", "output": "From the firewall"}


def decided_by(decision: Decision) -> str:
    """Which rule, or which policy, decided."""
    verdict = "passed" if decision.accepted else "refused"
    if decision.rule is None:
        return f"{verdict} by the policy of chain {decision.chain}" if decision.chain else f"{verdict}: no chain looks at it"
    label = f' for "{decision.rule.label}"' if decision.rule.label else ""
    return f"{verdict} in chain {decision.chain}{label}, {place(decision)}"


def place(decision: Decision) -> str:
    """Where the deciding rule stands."""
    rule = decision.rule
    if rule is None:
        return "at its end"
    return f"rule {rule.text}" if rule.text != rule.label else f"handle {rule.line}"


def proof_text(proof: Proof) -> str:
    """What was shown, as lines."""
    lines = [_HEADS[proof.outcome], *(f"  - {refusal}" for refusal in proof.refusals)]
    for difference in proof.differences:
        lines += ["", *_difference(difference)]
    if proof.promises:
        lines += ["", "Standing promises:"]
    for promise in proof.promises:
        lines.append(f"  {'kept  ' if promise.packet is None else 'BROKEN'}  {promise.text}")
        if promise.packet:
            lines.append(f"          {packet_text(promise.packet)}")
    lines += [f"note: {note}" for note in proof.notes]
    return "\n".join(lines)


def _difference(difference: Difference) -> list[str]:
    return [
        f"  {_PATHS[difference.path]}, this {difference.what}:",
        f"      {packet_text(difference.packet)}",
        f"      It is {decided_by(difference.decision)}.",
    ]


def proof_data(proof: Proof) -> dict[str, object]:
    """The same for programs."""
    return {
        "outcome": proof.outcome.name.lower(),
        "rules": proof.rules,
        "nodes": proof.nodes,
        "refusals": list(proof.refusals),
        "notes": list(proof.notes),
        "differences": [
            {"what": one.what, "path": one.path, "packet": packet_text(one.packet), "decided": decided_by(one.decision)}
            for one in proof.differences
        ],
        "promises": [
            {"text": one.text, "kept": one.packet is None, "packet": packet_text(one.packet) if one.packet else None}
            for one in proof.promises
        ],
    }
