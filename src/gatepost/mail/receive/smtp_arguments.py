"""The arguments of SMTP commands, read strictly.

What it does: turns the text behind a verb into values, parameter by parameter (RFC 1870, 3030, 3461, 4954, 6152, 6531).
Not its job: whether the command is lawful now (`smtp_table`), or what it leads to.
Raises: `CommandError`, with the reply to give.
"""

from __future__ import annotations

import re

from gatepost.mail.model import Reply
from gatepost.mail.smtp import address
from gatepost.mail.smtp.address import AddressError

FORWARD_NAMES = frozenset({"NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"})
CLIENT_NAMES = frozenset({"NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"})
_UNAVAILABLE = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_PATH_CODES = {"1.3": 501, "5.4": 555}  # RFC 5321 4.1.1.11
_ENVID = 100  # RFC 3461 4.4
_HOST = re.compile(r"[!-~]{1,255}")
_CHUNK = re.compile(r" *([0-9]{1,18})( +LAST)? *", re.IGNORECASE)
_ORIGINAL = re.compile(r"[A-Za-z0-9\-]+;(.+)")
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}", re.IGNORECASE)


class CommandError(Exception):
    """A command cannot be taken as it stands; `reply` says why."""

    def __init__(self, code: int, status: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, status, text)


def sender(argument: str, limit: int) -> tuple[str, dict[str, str]]:
    """Read what follows MAIL: the sender's address ("" is the null sender) and its parameters. `limit` is the largest SIZE."""
    found, parameters = _path(argument, "FROM:", frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"}))
    if parameters.get("BODY", "7BIT").upper() == "BINARYMIME":
        raise CommandError(555, "5.6.3", "binary mail is not taken here, send it as 8BITMIME")
    _lawful(parameters.get("BODY", "7BIT").upper() in {"7BIT", "8BITMIME"}, "BODY")
    _lawful(parameters.get("RET", "FULL").upper() in {"FULL", "HDRS"}, "RET")
    _lawful(not parameters.get("SMTPUTF8"), "SMTPUTF8")
    envelope_id = parameters.get("ENVID", "x")
    _lawful(0 < len(envelope_id) <= _ENVID and address.is_xtext(envelope_id), "ENVID")
    size = parameters.get("SIZE", "0")
    _lawful(size.isascii() and size.isdigit() and len(size) <= 20, "SIZE")  # noqa: PLR2004 - RFC 1870 3: up to 20 digits
    if int(size) > limit:
        raise CommandError(552, "5.3.4", f"the mail is larger than {limit} octets")
    _ascii(found, utf8="SMTPUTF8" in parameters)
    return found, parameters


def recipient(argument: str, *, utf8: bool) -> tuple[str, dict[str, str]]:
    """Read what follows RCPT: the address and its parameters. `utf8`: the mail was announced with SMTPUTF8."""
    found, parameters = _path(argument, "TO:", frozenset({"NOTIFY", "ORCPT"}))
    if not found:
        raise CommandError(501, "5.1.3", "a recipient needs an address")
    _lawful("NOTIFY" not in parameters or _NOTIFY.fullmatch(parameters["NOTIFY"]) is not None, "NOTIFY")
    if "ORCPT" in parameters:
        match = _ORIGINAL.fullmatch(parameters["ORCPT"])
        _lawful(match is not None and (utf8 or address.is_xtext(match[1])), "ORCPT")
    _ascii(found, utf8=utf8)
    return found, parameters


def attributes(argument: str, lawful: frozenset[str]) -> dict[str, str]:
    """Read the attributes of XFORWARD or XCLIENT, decoded, without the `IPV6:` of addresses; an unavailable one is "" (Postfix XFORWARD_README)."""
    found = {}
    for word in argument.split():
        name, _, value = word.partition("=")
        if name.upper() not in lawful:
            raise CommandError(501, "5.5.4", "an attribute is not known here")
        try:
            plain = "" if value.upper() in _UNAVAILABLE else address.from_xtext(value)
        except AddressError as error:
            raise CommandError(501, "5.5.4", str(error)) from error
        found[name.upper()] = plain[5:] if name.upper() == "ADDR" and plain.upper().startswith("IPV6:") else plain
    return found


def chunk(argument: str) -> tuple[int, bool] | None:
    """Read what follows BDAT: octets, and whether it is the last chunk. None: unreadable (RFC 3030 2)."""
    match = _CHUNK.fullmatch(argument)
    return None if match is None else (int(match[1]), match[2] is not None)


def host(argument: str) -> str:
    """Read what follows EHLO. Any printable word will do: many honest clients do not know their name."""
    name = argument.strip()
    if _HOST.fullmatch(name) is None:
        raise CommandError(501, "5.5.4", "say your host name")
    return name


def nothing(argument: str) -> None:
    """Check that a command without argument has none."""
    if argument.strip():
        raise CommandError(501, "5.5.4", "this command takes no argument")


def _path(argument: str, keyword: str, lawful: frozenset[str]) -> tuple[str, dict[str, str]]:
    if argument[: len(keyword)].upper() != keyword:
        raise CommandError(501, "5.5.4", f"write {keyword}<address>")
    try:
        return address.path(argument[len(keyword) :], lawful)
    except AddressError as error:
        raise CommandError(_PATH_CODES[error.status], f"5.{error.status}", str(error)) from error


def _lawful(condition: object, name: str) -> None:
    if not condition:
        raise CommandError(501, "5.5.4", f"the value of {name} is not lawful")


def _ascii(found: str, *, utf8: bool) -> None:
    if not utf8 and not found.isascii():
        raise CommandError(553, "5.6.7", "an address outside ASCII needs SMTPUTF8")
