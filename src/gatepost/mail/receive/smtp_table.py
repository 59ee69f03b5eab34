"""The SMTP dialogue as a table: which command is lawful in which state (RFC 5321 4.1.4, RFC 2033, RFC 3030, RFC 3207).

Everything that says what may follow what stands here; the protocol, the tests and the documentation read it.
Raises: nothing.
"""

from __future__ import annotations

from enum import Enum

from gatepost.mail.model import Reply


class State(Enum):
    """Where a dialogue stands."""

    NEW = "not greeted yet"
    GREETED = "greeted, nobody has said EHLO"
    READY = "no transaction"
    SENDER = "sender named, no recipient taken"
    RECIPIENTS = "at least one recipient taken"
    DATA = "reading the mail up to the dot"
    CHUNK = "reading one chunk of BDAT"
    CHUNKED = "between two chunks of BDAT"
    CLOSED = "over"


_GREETED = frozenset({State.GREETED, State.READY, State.SENDER, State.RECIPIENTS, State.CHUNKED})
_HELLO = _GREETED - {State.GREETED}

LAWFUL: dict[str, frozenset[State]] = {
    "EHLO": _GREETED,
    "HELO": _GREETED,
    "LHLO": _GREETED,
    "NOOP": _GREETED,
    "QUIT": _GREETED,
    "RSET": _GREETED,
    "HELP": _GREETED,
    "VRFY": _HELLO,
    "EXPN": _HELLO,
    "STARTTLS": frozenset({State.READY}),
    "XCLIENT": frozenset({State.GREETED, State.READY}),
    "XFORWARD": frozenset({State.READY}),
    "MAIL": frozenset({State.READY}),
    "RCPT": frozenset({State.SENDER, State.RECIPIENTS}),
    "DATA": frozenset({State.RECIPIENTS}),
    "BDAT": frozenset({State.RECIPIENTS, State.CHUNKED}),
}

# RFC 2920 3.1: these end a group, since their answer decides what the client may say next. Whatever stands behind them was
# sent blindly, or by somebody else (command injection before TLS, a mail smuggled behind DATA).
LAST_IN_GROUP = frozenset({"EHLO", "HELO", "LHLO", "DATA", "STARTTLS", "XCLIENT"})

_REFUSALS: dict[State, Reply] = {
    State.GREETED: Reply(503, "5.5.1", "say EHLO first"),
    State.READY: Reply(503, "5.5.1", "name the sender with MAIL first"),
    State.SENDER: Reply(503, "5.5.1", "no recipient has been taken"),
    State.RECIPIENTS: Reply(503, "5.5.1", "a mail is already under way"),
    State.CHUNKED: Reply(503, "5.5.1", "a mail is under way: go on with BDAT, or say RSET"),
}


def refusal(verb: str, state: State) -> Reply | None:
    """Say why `verb` is not lawful in `state`, or None when it is."""
    if verb not in LAWFUL:
        return Reply(500, "5.5.2", "command not known")
    if state in LAWFUL[verb]:
        return None
    if verb == "MAIL" and state is not State.GREETED:
        return Reply(503, "5.5.1", "a mail is already under way")
    return _REFUSALS.get(state, Reply(503, "5.5.1", "not now"))
