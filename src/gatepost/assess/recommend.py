"""The site file that the answers ask for, each rule with its reason, its owner and the answer it follows from.

What it does: makes three zones, the mail's way through them, and a flow for each service that people need; refuses services that no answer
can justify, and says why.
Not its job: checking the file (`gatepost site check`) and proving its firewall; both are done to what comes out, as to any site file.
Raises: `NotYetError` while one of the twelve answers is missing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network

from gatepost.assess.catalogue import short_way
from gatepost.assess.model import Assessment, Row

REFUSED = {
    "telnet": "passwords would cross the network in the clear; ssh does the same work",
    "smb": "file shares do not belong on the Internet; worms live there",
    "nfs": "file shares do not belong on the Internet; its users are whoever they say they are",
    "tftp": "it knows no passwords",
    "snmp": "it shows and changes machines with hardly a password",
    "smtp": "mail leaves by the relay only, or it is not scanned; the way to the relay is open for everybody inside",
    "dns": "only relay, mail server and firewall ask the provider; everybody else asks the internal server",
    "rdp": "screens of inside machines do not belong on the Internet",
}
"""Services that are not opened to or from the Internet, whoever asks, and why."""

HELPED = {"ftp"}
"""Services whose data connections the kernel follows, for named hosts only."""


class NotYetError(Exception):
    """An answer is missing without which no site file can be proposed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A service that was asked for and is not opened, and why."""

    service: str
    asked_by: str
    why: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A whole site file as TOML, and what was asked for and refused."""

    text: str
    refused: tuple[Refusal, ...]


@dataclass(slots=True)
class _Draft:
    assessment: Assessment
    owner: str
    hosts: dict[str, tuple[str, tuple[str, ...], str]] = field(default_factory=dict)
    flows: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def propose(assessment: Assessment, known: Collection[str]) -> Proposal:
    """The site file for these answers; `known` are the names of services that the firewall knows. Raises NotYetError."""
    missing = [one.id for one in short_way() if not assessment.answers.get(one.id)]
    if missing:
        raise NotYetError(f"not answered yet: {', '.join(missing)}; gatepost assess --short asks for them")
    draft = _Draft(assessment, assessment.text("responsible"))
    for name, zone, question, role in _HOSTS:
        addresses = _words(assessment, question)
        draft.hosts[name] = (_zone_of(draft, addresses[0], zone), addresses, role)
    draft.flows += _own_flows(draft)
    for number, row in enumerate(assessment.rows("services-needed"), 1):
        _need(draft, number, row, known)
    return Proposal("\n".join(_lines(draft)) + "\n", tuple(draft.refused))


_HOSTS = (
    ("relay", "services", "relay", "relay"),
    ("mailserver", "internal", "mailserver", "mailserver"),
    ("adminpc", "internal", "admin-machine", ""),
    ("isp-dns", "internet", "isp-dns", ""),
)


def _words(assessment: Assessment, question: str) -> tuple[str, ...]:
    return tuple(assessment.text(question).split())


def _need(draft: _Draft, number: int, row: Row, known: Collection[str]) -> None:
    service = row["service"].lower()
    why = _why_not(service, row, known)
    if why:
        draft.refused.append(Refusal(service, row["owner"], why))
        return
    source, target = _end(draft, row["from"], "internal"), _end(draft, row["to"], "internet")
    more = {"helper": "ftp", "log": "ftp access"} if service in HELPED else {}
    more |= {"expires": row["until"]} if row.get("until") else {}
    name = f"need-{number}-{service}"
    said = {"id": name, "reason": row["why"], "owner": row["owner"], "answer": f"services-needed#{number}"}
    draft.flows.append(_flow("flows", (source, target), (service,), said | more))


def _why_not(service: str, row: Row, known: Collection[str]) -> str:
    """Why a service that was asked for is not opened; "" when it is."""
    if service in REFUSED:
        return REFUSED[service]
    if service not in known:
        return "the firewall knows no service of this name; declare its ports under services in the site file"
    if service in HELPED and row["to"].lower() == "internet":
        return "its data connections need all high ports; name the one server that is needed"
    if len(row["why"]) < 8:  # noqa: PLR2004 - what the site file takes for a reason
        return "nobody said what it is needed for"
    return ""


def _end(draft: _Draft, written: str, zone: str) -> str:
    """The name of a host or zone; an address becomes a host in `zone`, or in the network it belongs to."""
    word = written.strip().lower()
    try:
        address = str(ip_address(word))
    except ValueError:
        return word if word in {"internal", "internet", "services", *draft.hosts} else zone
    for name, (_zone, addresses, _role) in draft.hosts.items():
        if address in addresses:
            return name
    name = "host-" + address.replace(".", "-").replace(":", "-").strip("-")
    draft.hosts[name] = (_zone_of(draft, address, zone), (address,), "")
    return name


def _zone_of(draft: _Draft, address: str, otherwise: str) -> str:
    for zone, question in (("services", "services-network"), ("internal", "internal-network")):
        networks = (ip_interface(word).network for word in _words(draft.assessment, question)[1:])
        if any(ip_address(address) in network for network in networks):
            return zone
    return otherwise


def _flow(kind: str, ends: tuple[str, str], services: Sequence[str], said: Mapping[str, str]) -> str:
    """One permission as a table of TOML; `said` are its other keys and texts, dates unquoted."""
    lines = [f"[[{kind}]]", f'from = "{ends[0]}"', f'to = "{ends[1]}"', f"services = {json.dumps(list(services))}"]
    return "\n".join([*lines, *(f"{key} = {value if key == 'expires' else _text(value)}" for key, value in said.items())])


def _text(words: str) -> str:
    """A TOML string; TOML reads what JSON writes, but for the pairs of code units that stand for rare characters."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")


def _own_flows(draft: _Draft) -> Iterator[str]:
    """What the perimeter itself needs: the way of the mail, names, time, updates, the administrator's way in."""
    for kind, name, source, target, services, why, answer in _OWN:
        said = {"id": name, "reason": why, "owner": draft.owner, "answer": answer}
        yield _flow(kind, (source, target), services, said | ({"log": "admin"} if kind == "firewall.admin" else {}))


_OWN = (
    ("firewall.admin", "admin-ssh", "adminpc", "firewall", ("ssh",),
     "The administrator maintains the firewall from one machine.", "admin-machine"),
    ("flows", "mail-out", "relay", "internet", ("smtp",), "The relay delivers our scanned mail to the world.", "relay"),
    ("flows", "mail-to-server", "relay", "mailserver", ("smtp",), "Scanned mail goes to the internal mail server, where people read it.",
     "mailserver"),
    ("flows", "mail-submit", "internal", "relay", ("smtp", "submission"), "Everybody sends through the relay, so that all mail is scanned.",
     "relay"),
    ("flows", "dns-relay", "relay", "isp-dns", ("dns",), "The relay asks the provider where mail goes.", "isp-dns"),
    ("flows", "dns-server", "mailserver", "isp-dns", ("dns",), "The internal server asks the provider for names, for everybody inside.",
     "isp-dns"),
    ("flows", "firewall-own", "firewall", "isp-dns", ("dns", "ntp"), "The firewall needs names and the time for its updates and its log.",
     "isp-dns"),
    ("flows", "firewall-updates", "firewall", "internet", ("https",), "The firewall fetches its security updates.", "internet"),
    ("flows", "relay-updates", "relay", "internet", ("https",), "The relay fetches security updates and knowledge of new viruses.", "relay"),
    ("flows", "firewall-alerts", "firewall", "relay", ("smtp",), "The firewall mails its alerts to the administrator.", "responsible"),
)  # fmt: skip


def _lines(draft: _Draft) -> Iterator[str]:
    answers = draft.assessment
    yield f"# {answers.text('company')}: proposed by gatepost assess from the answers of the interview."
    yield "# Each rule names the answer it follows from; nothing passes but what stands here."
    yield from ("", "[site]", f"name = {_text(answers.text('company'))}", "")
    yield from _zones(answers)
    for name, (zone, addresses, role) in draft.hosts.items():
        yield from (f"[hosts.{name}]", f'zone = "{zone}"', f"addresses = {json.dumps(list(addresses))}")
        yield from ([f'role = "{role}"'] if role else [])
        if name == "mailserver" and answers.is_("mta-server", "postfix", "sendmail", "exchange"):
            yield f'software = ["{answers.text("mta-server")}"]'
        yield ""
    yield from _firewall(draft)
    for refused in draft.refused:
        yield f"# Asked for by {' '.join(refused.asked_by.split())} and refused: {' '.join(refused.service.split())}; {refused.why}."
    yield from _mail(answers)


def _zones(answers: Assessment) -> Iterator[str]:
    interface, *addresses = _words(answers, "internet")
    gateway = json.dumps([one.partition("/")[0] for one in addresses])
    yield from ("[zones.internet]", f'interfaces = ["{interface}"]', "external = true", f"gateway = {gateway}", "")
    for zone, question in (("services", "services-network"), ("internal", "internal-network")):
        interface, *addresses = _words(answers, question)
        found = [ip_interface(one) for one in addresses]
        yield from (f"[zones.{zone}]", f'interfaces = ["{interface}"]', f"prefixes = {json.dumps([str(one.network) for one in found])}")
        yield f"gateway = {json.dumps([str(one.ip) for one in found])}"
        yield from (['refuse = "reject"'] if zone == "internal" else [])
        yield ""


def _firewall(draft: _Draft) -> Iterator[str]:
    odd = sorted({_around(one) for zone, found, _role in draft.hosts.values() if zone == "internet" for one in found} - {""})
    yield from (
        ("[firewall]", "# Addresses outside that cannot be outside on the real Internet: a laboratory, or the provider's own network.")
        if odd
        else ()
    )
    yield from ([f"admit_sources = {json.dumps(odd)}", ""] if odd else [])
    yield from ("[firewall.icmp]", 'ping_from = ["services", "internal"]', "")
    public = json.dumps(list(_words(draft.assessment, "mail-address")))
    yield from ("[[publish]]", 'id = "mail-in"', f"addresses = {public}", 'host = "relay"', 'services = "smtp"')
    yield from ('from = ["internet", "internal"]', 'reason = "The world sends us mail; it must pass the scanning relay."')
    yield from (f"owner = {_text(draft.owner)}", 'answer = "mail-address"', "")
    for flow in draft.flows:
        yield from (flow, "")
    first = next((one for one in _words(draft.assessment, "mail-address") if ":" not in one), "")
    if first and first not in _words(draft.assessment, "relay"):
        yield "# The relay speaks to the world under the address that its name in DNS has; everybody else shares the firewall's."
        yield from ("[[translate]]", 'from = "relay"', 'to = "internet"', f'address = "{first}"', "")
    yield from ("[[translate]]", 'from = ["services", "internal"]', 'to = "internet"', "")


def _around(address: str) -> str:
    """The network round an address that is not a public one."""
    found = ip_address(address)
    return "" if found.is_global else str(ip_network(f"{address}/{24 if found.version == 4 else 48}", strict=False))  # noqa: PLR2004


def _mail(answers: Assessment) -> Iterator[str]:
    domains = answers.text("domains").split()
    yield from ("", "[mail]", f"domains = {json.dumps(domains)}", 'next_hop = "mailserver:25"', 'relay_from = ["internal"]')
    yield f'virusalerts = "{answers.text("responsible")}"'
    yield from ("", "[mail.milter]", 'listen = "unix:/run/gatepost/milter.sock"')
    if answers.is_("mta-relay", "postfix", "sendmail"):
        yield from ("", "[relay]", f'mta = "{answers.text("mta-relay")}"')
    if second := answers.text("second-contact"):
        yield from ("", "# Told when the administrator does not look at an alert for a day.", "[alerts]", f'second = "{second}"')
    yield from _report(answers)


def _report(answers: Assessment) -> Iterator[str]:
    """Who gets the monthly page, and what management said an infected computer costs."""
    told = [f"to = {json.dumps([answers.text('report-to')])}"] if answers.text("report-to") else []
    hours = answers.text("clean-up")
    if hours.replace(".", "", 1).isdigit() and float(hours) <= 1000:  # noqa: PLR2004 - what the site file takes
        told.append(f"clean_up_hours = {float(hours)}")
    if told:
        yield from ("", "# The monthly page: who gets it, and what the last infected computer cost, as management said.", "[report]", *told)
