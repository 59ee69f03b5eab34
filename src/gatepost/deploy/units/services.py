"""The services of a host that takes mail, each with what it needs and nothing else.

What it does: from the site to the units of keeper, front, scan workers, watch and console, their sockets, and the target that holds them.
Not its job: timed work (`timed`), the firewall's boot (`boot`), writing (`compile`).
Raises: nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from gatepost.deploy.units.people import COMMON
from gatepost.deploy.units.unit import Section, Unit, Values, service
from gatepost.site.base import Endpoint, parse_endpoint, parse_socket
from gatepost.site.model import Site

PROGRAM = "/usr/bin/gatepost"
SITE = "/etc/gatepost/site.toml"
MTA_GROUPS = {"postfix": "postfix", "sendmail": "smmsp"}
"""The group of the MTA's processes that speak to milters, on Debian."""

LOW_PORT = 1024
LIVES: Section = {"Type": "notify", "Restart": "always", "RestartSec": "1", "TimeoutStopSec": "50"}
INTERNET: Section = {"PrivateNetwork": "no", "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6"}
PEERS: Section = {"PrivateUsers": "no"}
"""Who asks the kernel for users at the other end of a socket must see them under their own numbers."""


def mail_units(site: Site) -> Iterator[Unit]:
    """Every unit of a relay."""
    run, state = site.site.run, site.site.state
    wants = ["gatepost-keeper.service", "gatepost-scan.service", "gatepost-front.service", "gatepost-watch.service"]
    yield from _sockets(site)
    yield service(
        "gatepost-keeper",
        "Gatepost: writes quarantine, journal and alerts",
        {**_as("keeper", COMMON), **LIVES, "ExecStart": _process("keeper"), "WatchdogSec": "60", "SupplementaryGroups": "gatepost-keeper"},
        {**INTERNET, **PEERS, **reach(site, _next_hops(site)), "ReadWritePaths": state, "UMask": "0027"},
        {"Requires": "gatepost-keeper.socket", "After": "gatepost-keeper.socket"},
    )
    yield _front(site)
    yield service(
        "gatepost-scan",
        "Gatepost: looks at mail",
        {
            **_as("scan"),
            **LIVES,
            "ExecStart": _process("scan"),
            "ExecReload": "/bin/kill -HUP $MAINPID",
            "WatchdogSec": "60",
            "OOMScoreAdjust": "500",
        },
        {**_scan_network(site), "ReadWritePaths": f"{run}/scratch", "MemoryDenyWriteExecute": "no"},
        {"After": "gatepost-scan.socket"},
    )
    yield service(
        "gatepost-watch",
        "Gatepost: sends canaries, answers Prometheus",
        {**_as("watch"), **LIVES, "ExecStart": _process("watch"), "WatchdogSec": "15min", **_metrics(site)},
        {**INTERNET, **reach(site, _watched(site)), "MemoryDenyWriteExecute": "no"},
        {"After": "gatepost-keeper.service gatepost-front.service"},
    )
    if site.console.listen:
        wants.append("gatepost-console.service")
        yield _console(site)
    yield Unit("gatepost.target", "Gatepost: everything that takes mail", {"Unit": {"Description": "Gatepost", "Wants": " ".join(wants)}})
    yield Unit("multi-user.target.d/50-gatepost.conf", "Gatepost starts at boot", {"Unit": {"Wants": "gatepost.target"}})


def _front(site: Site) -> Unit:
    """Who takes mail from the network."""
    sockets = _front_sockets(site)
    return service(
        "gatepost-front",
        "Gatepost: takes mail",
        {
            **_as("front"),
            **LIVES,
            "ExecStart": _process("front"),
            "WatchdogSec": "60",
            "Sockets": " ".join(sockets),
            "LimitNOFILE": "65536",
        },
        {**INTERNET, **PEERS, **reach(site, _front_peers(site))},
        {"Requires": " ".join(sockets), "After": " ".join(["gatepost-keeper.service", *sockets])},
    )


def _as(process: str, group: str = "") -> Section:
    """The user of a process; all are in the common group, which reaches the keeper."""
    return {"User": f"gatepost-{process}", "Group": group or f"gatepost-{process}", **({} if group else {"SupplementaryGroups": COMMON})}


def _process(name: str) -> str:
    return f"{PROGRAM} mail process {name} --site {SITE}"


def _sockets(site: Site) -> Iterator[Unit]:
    run = site.site.run
    yield _socket("keeper", "gatepost-keeper.service", f"{run}/keeper.sock", ("gatepost-keeper", COMMON, "0660"))
    yield _socket("scan", "gatepost-front.service", f"{run}/scan.sock", ("gatepost-front", "gatepost-scan", "0660"))
    if site.mail.milter.listen:
        milter = site.mail.milter
        place = parse_socket(milter.listen or "")
        group = milter.group or MTA_GROUPS[site.relay.mta]
        yield _socket("milter", "gatepost-front.service", _place(place), ("gatepost-front", group, milter.mode))
    if site.mail.smtp.listen:
        yield _socket("smtp", "gatepost-front.service", _place(parse_endpoint(site.mail.smtp.listen, 25)))
    if site.metrics.listen:
        yield _socket("metrics", "gatepost-watch.service", _place(parse_endpoint(site.metrics.listen, 9090)))


def _place(place: Endpoint | str) -> str:
    if isinstance(place, str):
        return place
    return f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"


def _socket(name: str, owner: str, place: str, who: tuple[str, str, str] | None = None) -> Unit:
    """A listening socket that outlives its service: while that is restarted, whoever connects waits and is not refused."""
    rights = {"SocketUser": who[0], "SocketGroup": who[1], "SocketMode": who[2], "RemoveOnStop": "yes"} if who else {"FreeBind": "yes"}
    note = f"Gatepost: the socket {name}"
    settings = {"ListenStream": place, "FileDescriptorName": name, "Service": owner, "Backlog": "1024", **rights}
    return Unit(f"gatepost-{name}.socket", note, {"Unit": {"Description": note}, "Socket": settings})


def _front_sockets(site: Site) -> list[str]:
    names = ["scan", *(["milter"] if site.mail.milter.listen else []), *(["smtp"] if site.mail.smtp.listen else [])]
    return [f"gatepost-{name}.socket" for name in names]


def _metrics(site: Site) -> Section:
    return {"Sockets": "gatepost-metrics.socket"} if site.metrics.listen else {}


def _console(site: Site) -> Unit:
    port = parse_endpoint(site.console.listen or "", 8080).port
    low: Section = {"CapabilityBoundingSet": "CAP_NET_BIND_SERVICE", "AmbientCapabilities": "CAP_NET_BIND_SERVICE", **PEERS}
    return service(
        "gatepost-console",
        "Gatepost: the web console",
        {**_as("console"), **LIVES, "ExecStart": f"{PROGRAM} console serve --site {SITE}", "WatchdogSec": "2min"},
        {**INTERNET, "IPAddressDeny": (), "ReadWritePaths": f"{site.site.state}/console", **(low if port < LOW_PORT else {})},
        {"After": "gatepost-keeper.service network.target"},
    )


# Which addresses a service may speak to.


def reach(site: Site, peers: list[str]) -> Section:
    """Nobody but these peers, where the site file says their addresses; a name needs DNS, and so everybody."""
    addresses = [address for peer in peers for address in _addresses(site, peer)]
    if None in addresses:
        return {"IPAddressDeny": ()}
    listed: Values = " ".join(dict.fromkeys(["localhost", *(one for one in addresses if one)]))
    return {"IPAddressAllow": listed}


def _addresses(site: Site, peer: str) -> list[str | None]:
    if peer in site.hosts:
        return list(site.hosts[peer].addresses)
    try:
        return [str(ipaddress.ip_address(peer))]
    except ValueError:
        return [None]


def _next_hops(site: Site) -> list[str]:
    mail = site.mail
    written = [mail.next_hop, *mail.routes.values(), *([mail.outbound] if mail.outbound else [])]
    return [parse_endpoint(one, 25).host for one in [*written, *([mail.smtp.next_hop] if mail.smtp.next_hop else [])]]


def _front_peers(site: Site) -> list[str]:
    """Who speaks to the front by TCP: as a proxy its clients and next hops, as a milter the MTA."""
    mail, peers = site.mail, []
    if mail.smtp.listen:
        here = parse_endpoint(mail.smtp.listen, 25).host
        peers += [here if _is_loopback(here) else "anybody", *_next_hops(site)]
    place = parse_socket(mail.milter.listen) if mail.milter.listen else ""
    if isinstance(place, Endpoint):
        peers.append(place.host if _is_loopback(place.host) else "anybody")
    return peers


def _watched(site: Site) -> list[str]:
    listening = [one for one in (site.mail.smtp.listen, site.canary.through) if one]
    asked = [] if not site.metrics.listen or _is_loopback(parse_endpoint(site.metrics.listen, 9090).host) else ["anybody"]
    engines = [place.host for place in _engine_sockets(site) if isinstance(place, Endpoint)]
    return [*(parse_endpoint(one, 25).host for one in listening), *asked, *engines]


def _scan_network(site: Site) -> Section:
    """No network at all, unless an engine is reached by TCP; then its address and no other."""
    peers = [place.host for place in _engine_sockets(site) if isinstance(place, Endpoint)]
    return {**INTERNET, **reach(site, peers)} if peers else {}


def _engine_sockets(site: Site) -> list[Endpoint | str]:
    written = [engine.options.get("socket") for engine in site.engines.values() if engine.enabled]
    return [parse_socket(one) for one in written if isinstance(one, str)]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def clients(site: Site) -> tuple[Path, ...]:
    """Folders with the sockets of engines, for units that must see them."""
    return tuple(Path(place).parent for place in _engine_sockets(site) if isinstance(place, str))
