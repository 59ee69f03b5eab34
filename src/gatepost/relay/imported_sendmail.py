"""An old sendmail.mc: what of it belongs into the site file, quotes that m4 stumbles over, and milters that fail open.

The milter line as it was long printed in books stands in the quotes of a typesetter; m4 wants ` before and ' after, and stops with
"end of file in string". Mended it loads, but without F= Sendmail passes mail unscanned while the milter is down.
Raises: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatepost.relay.proposal import Proposal, Reading, not_understood
from gatepost.site.problem import Problem

QUOTES = "`'\"\u2018\u2019\u201c\u201d\u00b4"
_MILTER = re.compile(rf"INPUT_MAIL_FILTER\(\s*[{QUOTES}]*([\w.-]+)[{QUOTES}]*\s*,\s*[{QUOTES}]*(.*?)[{QUOTES}]*\s*\)")
_DEFINE = re.compile(rf"define\(\s*[{QUOTES}]*(\w+)[{QUOTES}]*\s*,\s*[{QUOTES}]*(.*?)[{QUOTES}]*\s*\)")
_FEATURE = re.compile(rf"FEATURE\(\s*[{QUOTES}]*(\w+)[{QUOTES}]*")
_PLAIN = re.compile(r"(dnl|divert|include|OSTYPE|VERSIONID|DOMAIN|MAILER|DAEMON_OPTIONS|CLIENT_OPTIONS|LOCAL_|undefine|ifdef)")
DEFINES = {
    "confDOMAIN_NAME": ("relay", "hostname"),
    "confMAX_MESSAGE_SIZE": ("mail", "size_limit"),
    "confSERVER_CERT": ("relay.tls", "certificate"),
    "confSERVER_KEY": ("relay.tls", "key"),
}
OPEN = {
    "promiscuous_relay": "an open relay: everybody may send to everybody",
    "relay_local_from": "an open relay to whoever claims to be one of your people",
    "relay_based_on_MX": "whoever points an MX at you may relay through you",
    "loose_relay_check": "user%host gets round the relay rules",
}
HARMLESS = {"access_db", "mailertable", "nocanonify", "use_cw_file", "use_ct_file", "no_default_msa", "delay_checks", "nouucp"}
HARMLESS |= {"accept_unresolvable_domains", "blacklist_recipients", "blocklist_recipients", "always_add_domain", "smrsh", "redirect"}


def read_mc(name: str, text: str) -> Reading:
    """What a sendmail.mc says."""
    proposals: list[Proposal] = []
    remarks: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith(("dnl", "#")):
            continue
        if match := _MILTER.search(stripped):
            proposals += _milter(f"{name}:{number}", match)
            remarks += _milter_remarks(name, number, stripped, match)
        elif match := _DEFINE.search(stripped):
            proposals += _defined(f"{name}:{number} {match[1]}", match)
            remarks += (
                [] if proposals and proposals[-1].origin == f"{name}:{number} {match[1]}" else [not_understood(name, number, stripped)]
            )
        elif match := _FEATURE.search(stripped):
            remarks += _feature(name, number, stripped, match[1])
        elif not _PLAIN.match(stripped):
            remarks.append(not_understood(name, number, stripped))
        remarks += _quotes(name, number, stripped)
    return Reading(tuple(proposals), tuple(remarks))


def _milter(origin: str, match: re.Match[str]) -> list[Proposal]:
    socket = re.search(r"S=([^,\s]+)", match[2])
    if socket is None:
        return []
    where = re.sub(r"^local:", "unix:", socket[1])
    if inet := re.fullmatch(r"inet6?:(\d+)@(.+)", where):
        where = f"{inet[2]}:{inet[1]}"
    section = f"[relay.milters]#{match[1]}"
    return [Proposal(section, "name", match[1].lower(), origin), Proposal(section, "socket", where, origin)]


def _milter_remarks(name: str, line: int, source: str, match: re.Match[str]) -> Iterator[Problem]:
    parts = [part.strip() for part in match[2].split(",") if part.strip()]
    flags = [part for part in parts if part.startswith("F=")]
    rest = [part for part in parts if not part.startswith("F=")]
    mended = f"INPUT_MAIL_FILTER(`{match[1]}', `{', '.join([*rest[:1], 'F=T', *rest[1:]])}')dnl"
    if not flags or flags[0] in {"F=", "F=A"}:
        yield Problem(name, line, "F=", "mail passes unscanned while this milter is down", f"write {mended}", source)
    if not any(part.startswith("S=") for part in parts):
        yield Problem(name, line, "S=", "the milter has no socket, so nothing is asked", "write S=local:/path or S=inet:port@host", source)


def _quotes(name: str, line: int, source: str) -> Iterator[Problem]:
    """m4 opens a quote with ` and closes it with '; anything else it takes for text, or never finds the end of."""
    code = source.partition("dnl")[0]
    wrong = [mark for mark in code if mark in "\u2018\u2019\u201c\u201d\u00b4"]
    if wrong or code.count("`") != code.count("'"):
        mended = re.sub(rf"[{QUOTES}]+([^{QUOTES}]*)[{QUOTES}]+", r"`\1'", code)
        what = "the quotes are not m4's: it stops with \u201cend of file in string\u201d, or takes the quotes for text"
        yield Problem(name, line, "", what, f"open with ` and close with ': {mended}", source)


def _defined(origin: str, match: re.Match[str]) -> list[Proposal]:
    if match[1] == "SMART_HOST" and match[2]:
        return [Proposal("mail", "outbound", re.sub(r"^\w+:|[\[\]]", "", match[2]), origin)]
    if match[1] in DEFINES and match[2]:
        section, key = DEFINES[match[1]]
        return [Proposal(section, key, int(match[2]) if match[2].isdigit() else match[2], origin)]
    return []


def _feature(name: str, line: int, source: str, feature: str) -> list[Problem]:
    if feature in OPEN:
        return [Problem(name, line, feature, OPEN[feature], "leave it out; name zones in mail.relay_from instead", source)]
    return [] if feature in HARMLESS else [not_understood(name, line, source)]
