"""Checks of the ways in and out: who has our ports, can the MTA reach the milter, does the next hop answer, are certificates valid.

Raises: `OSError` without /proc.
"""

from __future__ import annotations

import grp
import os
import pwd
import smtplib
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from dns.exception import DNSException
from dns.resolver import Resolver

from gatepost.deploy.doctor.check import Machine, Seen, error, warning, well
from gatepost.site.base import Endpoint, parse_endpoint, parse_socket
from gatepost.site.model import Site

SECONDS = 5.0
"""Seconds that a next hop has to greet."""

GREETING, NO_ANSWER = 220, -1
"""The code of a greeting (RFC 5321 3.1), and what smtplib gives for what is none."""

SOON = 14 * 86_400.0
"""Seconds before a certificate's end at which to warn."""


def ports(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether each TCP listener is ours: taken by nobody while the gateway is down, by the gateway while it runs."""
    written = [("mail.smtp.listen", site.mail.smtp.listen), ("metrics.listen", site.metrics.listen)]
    if site.mail.milter.listen and not site.mail.milter.listen.startswith("unix:"):
        written.append(("mail.milter.listen", site.mail.milter.listen))
    for key, text in written:
        if text:
            yield _port(key, parse_endpoint(text.removeprefix("tcp:").removeprefix("inet:"), 25), machine)


def _port(key: str, place: Endpoint, machine: Machine) -> Seen:
    name = f"{place.host}:{place.port}"
    if not _bindable(place):
        owner = "" if machine.gateway is None else _owner(place.port, machine)
        if owner == "gatepost":
            return well(f"the gateway listens on {name}")
        who = f" ({owner})" if owner else ""
        return error(
            f"{key}: {name} is taken by somebody else{who}", f"ss -ltnp sport = :{place.port} shows who; end it, or choose another port"
        )
    if machine.gateway is not None:
        return error(f"{key}: the gateway runs, but does not listen on {name}", "restart it: listeners are not changed by a reload")
    return well(f"{name} is free")


def _bindable(place: Endpoint) -> bool:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((place.host, place.port))
        except OSError:
            return False
    return True


def _owner(port: int, machine: Machine) -> str:
    """Who listens on a TCP port: "gatepost" for a process of the running gateway, a program's name, or "" when we may not know."""
    inodes = {f"socket:[{inode}]" for inode in _listening(port, machine.proc)}
    family = _family(machine)
    found = ""
    for process in machine.proc.glob("[0-9]*"):
        try:
            held = any(str(link.readlink()) in inodes for link in (process / "fd").iterdir())
            if held and int(process.name) in family:
                return "gatepost"
            found = (process / "comm").read_text().strip() if held else found
        except OSError:
            continue
    return found


def _listening(port: int, proc: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = proc / "net" / table
        for line in path.read_text("ascii").splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _family(machine: Machine) -> frozenset[int]:
    """The gateway's processes: the keeper's parent and all its children."""
    if machine.gateway is None:
        return frozenset()
    parent = int((machine.proc / str(machine.gateway.keeper) / "stat").read_text().rpartition(")")[2].split()[1])
    children = (machine.proc / str(parent) / "task" / str(parent) / "children").read_text().split()
    return frozenset({parent, *map(int, children)})


def next_hops(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether every next hop is known, answers, and greets as a mail server."""
    mail = site.mail
    written = (mail.smtp.next_hop,) if mail.smtp.next_hop else (mail.next_hop, mail.outbound, *mail.routes.values())
    for text in dict.fromkeys(text for text in written if text is not None):
        yield _next_hop(site, text)


def _next_hop(site: Site, written: str) -> Seen:
    place = parse_endpoint(written, 25)
    host = site.hosts[place.host].addresses[0] if place.host in site.hosts else place.host
    try:
        with smtplib.SMTP(timeout=SECONDS) as client:
            code, _greeting = client.connect(host, place.port)
    except socket.gaierror:
        return error(
            f"the next hop {written} is not known: its name does not resolve",
            "declare it under hosts with its address; then no DNS is needed",
        )
    except (smtplib.SMTPException, UnicodeError):
        code = NO_ANSWER
    except OSError as cause:
        why = cause.strerror or f"it does not greet within {SECONDS:.0f} s"
        return error(
            f"the next hop {written} cannot be reached: {why}", "start it, let the firewall pass, or correct next_hop in the site file"
        )
    return _greeted(written, code)


def _greeted(written: str, code: int) -> Seen:
    if code == GREETING:
        return well(f"the next hop {written} takes mail")
    if code == NO_ANSWER:
        return error(f"the next hop {written} does not answer as a mail server", "is this the port of its SMTP service?")
    return error(f"the next hop {written} refuses all mail: it greets with {code}", "ask its administrator")


def milter(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether Postfix may connect to the milter's Unix socket: its mode, its group, the folders on the way."""
    written = site.mail.milter.listen
    place = parse_socket(written) if written else None
    if not isinstance(place, str):
        return
    path, mode = Path(place), int(site.mail.milter.mode, 8)
    if site.mail.milter.group and not _group(site.mail.milter.group):
        yield error(f"mail.milter.group: there is no group {site.mail.milter.group}", "name a group of this machine, like postfix")
    elif not path.parent.is_dir():
        yield error(
            f"mail.milter.listen: the folder {path.parent} is missing", f"mkdir {path.parent}, writable for the user that runs Gatepost"
        )
    elif machine.gateway is not None and not path.exists():
        yield error(f"mail.milter.listen: the gateway runs, but {path} is missing", "restart it")
    elif machine.postfix is not None and str(path) in machine.postfix.get("smtpd_milters", ""):
        yield _reachable(path, mode, site.mail.milter.group)
    else:
        yield well(f"{path} can be made")


def _reachable(path: Path, mode: int, group: str) -> Seen:
    """Whether Postfix's user gets through; smtpd connects with its rights."""
    user = pwd.getpwnam("postfix")
    groups = set(os.getgrouplist("postfix", user.pw_gid))
    ours = _group(group) if group else os.getegid()
    for folder in path.parents:
        found = folder.stat()
        if not _allows(found.st_mode, found.st_uid == user.pw_uid, found.st_gid in groups, stat.S_IXOTH):
            return error(
                f"Postfix may not enter {folder}, where the milter's socket is", f"chmod o+x {folder}, or put the socket elsewhere"
            )
    if not _allows(mode, owner=False, group=ours in groups, wanted=stat.S_IWOTH):
        return error(f"Postfix may not use {path} (mode {mode:04o})", 'set mode = "0660" and group = "postfix" in [mail.milter]')
    return well(f"Postfix can reach {path}")


def _allows(mode: int, owner: bool, group: bool, wanted: int) -> bool:  # noqa: FBT001 the three classes of inode(7)
    return bool(mode & (wanted << 6 if owner else wanted << 3 if group else wanted))


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return 0


def certificates(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether the certificate of our SMTP listener is readable, valid today and fits its key."""
    tls = site.mail.smtp.tls
    if not tls.certificate or not tls.key:
        return
    try:
        certificate = x509.load_pem_x509_certificate(Path(tls.certificate).read_bytes())
        key = serialization.load_pem_private_key(Path(tls.key).read_bytes(), None)
    except OSError as cause:
        yield error(f"{cause.filename} cannot be read: {cause.strerror}", "correct mail.smtp.tls in the site file, or the file's mode")
        return
    except (ValueError, TypeError) as cause:
        yield error(f"certificate or key of mail.smtp.tls is damaged: {cause}", "both must be PEM, the key without a password")
        return
    if key.public_key() != certificate.public_key():
        yield error(f"{tls.key} is not the key of {tls.certificate}", "name the pair that belongs together")
        return
    yield _validity(tls.certificate, certificate, datetime.fromtimestamp(machine.now(), UTC))


def _validity(path: str, certificate: x509.Certificate, now: datetime) -> Seen:
    left = (certificate.not_valid_after_utc - now).total_seconds()
    if left < 0:
        return error(f"the certificate {path} expired on {certificate.not_valid_after_utc:%Y-%m-%d}", "renew it")
    if certificate.not_valid_before_utc > now:
        return error(f"the certificate {path} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}", "is the clock right?")
    if left < SOON:
        return warning(f"the certificate {path} expires in {left / 86_400:.0f} days", "renew it")
    return well(f"the certificate {path} is valid until {certificate.not_valid_after_utc:%Y-%m-%d}")


def name_servers(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether a name server answers, where an engine needs one. Of a next hop without address `next_hops` tells."""
    wanted = [f"engine {name}" for name, engine in site.engines.items() if engine.enabled and (engine.kind or name) == "authentication"]
    if not wanted:
        return
    try:
        resolver = Resolver(str(machine.resolv))
        resolver.lifetime = SECONDS
        resolver.resolve(".", "NS")
    except (DNSException, OSError) as cause:
        yield error(
            f"no name server of {machine.resolv} answers, and {wanted[0]} needs one: {cause}",
            f"correct {machine.resolv}, or let the firewall pass DNS; without, mail is judged as if nothing could be known of its sender",
        )
    else:
        yield well("a name server answers")
