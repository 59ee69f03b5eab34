"""An old main.cf: what of it belongs into the site file, and what lets mail pass unscanned or makes an open relay.

Raises: nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from gatepost.relay.proposal import Proposal, Reading, not_understood
from gatepost.site.problem import Problem

_SETTING = re.compile(r"([A-Za-z0-9_]+)\s*=\s*(.*)")
EVERYBODY = {"0.0.0.0/0", "::/0", "[::]/0", "0/0"}
DIRECT = {
    "myhostname": ("relay", "hostname"),
    "message_size_limit": ("mail", "size_limit"),
    "smtpd_tls_cert_file": ("relay.tls", "certificate"),
    "smtpd_tls_key_file": ("relay.tls", "key"),
}
DROPPED = frozenset(
    [
        "compatibility_level",
        "smtpd_banner",
        "biff",
        "append_dot_mydomain",
        "readme_directory",
        "alias_maps",
        "alias_database",
        "mailbox_size_limit",
        "recipient_delimiter",
        "inet_interfaces",
        "inet_protocols",
        "myorigin",
        "mydestination",
        "queue_directory",
        "command_directory",
        "daemon_directory",
        "data_directory",
        "mail_owner",
        "setgid_group",
        "smtp_tls_session_cache_database",
        "smtpd_tls_session_cache_database",
        "smtp_tls_security_level",
        "smtpd_tls_security_level",
        "smtpd_use_tls",
        "smtp_tls_CApath",
        "smtp_tls_CAfile",
        "smtpd_relay_restrictions",
        "smtpd_recipient_restrictions",
        "milter_protocol",
        "milter_default_action",
        "non_smtpd_milters",
        "mynetworks",
        "mynetworks_style",
    ]
)
"""What the generated relay sets by itself, or what is judged below."""
KNOWN = DROPPED | set(DIRECT) | {"relay_domains", "relayhost", "smtpd_milters", "transport_maps", "relay_recipient_maps", "content_filter"}


def settings(text: str) -> Iterator[tuple[int, str, str]]:
    """Logical lines: number of the first, name, value; the name is "" for what is no setting."""
    start, whole = 0, ""
    for number, line in enumerate([*text.splitlines(), "end"], 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t" and whole:
            whole += " " + line.strip()
            continue
        if whole:
            match = _SETTING.fullmatch(whole)
            yield (start, match[1], match[2].strip()) if match else (start, "", whole)
        start, whole = number, line.strip()


def read_main(name: str, text: str) -> Reading:
    """What a main.cf says."""
    found = list(settings(text))
    values = {key: value for _, key, value in found if key}
    proposals: list[Proposal] = []
    remarks: list[Problem] = []
    for line, key, value in found:
        proposals += _proposals(name, line, key, value)
        remarks += _remarks(name, line, key, value)
    return Reading(tuple(proposals), (*remarks, *_whole(name, values)))


def _proposals(name: str, line: int, key: str, value: str) -> list[Proposal]:
    origin = f"{name}:{line} {key}"
    if key == "relay_domains" and value:
        domains = [one for one in re.split(r"[,\s]+", value) if "." in one and "$" not in one and ":" not in one]
        return [Proposal("mail", "domains", domains, origin)]
    if key == "relayhost" and value:
        return [Proposal("mail", "outbound", value.replace("[", "").replace("]", "") if value.count(":") < 2 else value, origin)]  # noqa: PLR2004 - more is IPv6
    if key == "smtpd_milters":
        sockets = [re.sub(r"^inet:", "", one) for one in re.findall(r"(?:unix|inet):[^\s,{}]+", value)]
        return [Proposal(f"[relay.milters]#{number}", "socket", one, origin) for number, one in enumerate(sockets, 1)]
    if key in DIRECT and value:
        section, target = DIRECT[key]
        return [Proposal(section, target, int(value) if value.isdigit() else value, origin)]
    return []


def _remarks(name: str, line: int, key: str, value: str) -> Iterator[Problem]:
    source = f"{key} = {value}" if key else value
    if not key:
        yield Problem(name, line, "", "a line without = : each new process of Postfix dies of it", "correct it or take it out", source)
    elif key == "milter_default_action" and value == "accept":
        yield Problem(name, line, key, "mail passes unscanned while the scanner is down", "the generated relay says tempfail", source)
    elif key == "mynetworks" and EVERYBODY & set(re.split(r"[,\s]+", value)):
        yield Problem(
            name, line, key, "an open relay: everybody may send to everybody", "name zones of your own in mail.relay_from", source
        )
    elif key not in KNOWN:
        near = difflib.get_close_matches(key, {"smtpd_milters", "non_smtpd_milters", "milter_default_action", "mynetworks"}, 1, 0.85)
        if near:
            remedy = f"write {near[0]}; Postfix ignores it without an error, so all mail passes unscanned today"
            yield Problem(name, line, key, f"Postfix knows no {key}", remedy, source)
        else:
            yield not_understood(name, line, source)
    elif key in {"transport_maps", "relay_recipient_maps", "content_filter"} and value:
        yield not_understood(name, line, source)


def _whole(name: str, values: dict[str, str]) -> Iterator[Problem]:
    for key in ("smtpd_relay_restrictions", "smtpd_recipient_restrictions"):
        rules = values.get(key)
        if (
            rules is not None
            and key == "smtpd_relay_restrictions"
            and not re.search(r"(reject|defer)_unauth_destination|(^|[ ,])(reject|defer)($|[ ,])", rules)
        ):
            yield Problem(
                name, 1, key, "an open relay: nothing refuses other people's domains", "end it with reject_unauth_destination", rules
            )
    if values.get("smtpd_milters") and "milter_default_action" not in values:
        yield Problem(name, 1, "milter_default_action", "is left to the default, which another version may change", "write tempfail")
