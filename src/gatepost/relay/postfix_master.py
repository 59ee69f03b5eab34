"""master.cf: the processes of the relay's Postfix, each with its reason; nothing that a relay does not need.

Not its job: settings (`postfix`).
Raises: `RelayError` when submission is wanted without a certificate: passwords would cross the net in the clear.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.relay.intent import RelayError
from gatepost.relay.text import Line, section
from gatepost.site.base import parse_endpoint
from gatepost.site.model import Site
from gatepost.site.relay import ANY_ADDRESS, Submission

COLUMNS = (15, 11, 7, 7, 7, 7, 7)

INTERNAL = (
    ("pickup", "unix n - n 60 1 pickup", "takes mail that is written on this host"),
    ("cleanup", "unix n - n - 0 cleanup", "writes mail into the queue"),
    ("qmgr", "unix n - n 300 1 qmgr", "the queue manager"),
    ("tlsmgr", "unix - - n 1000? 1 tlsmgr", "sessions and random numbers of TLS"),
    ("rewrite", "unix - - n - - trivial-rewrite", "decides where an address leads"),
    ("bounce", "unix - - n - 0 bounce", "notices of failure"),
    ("defer", "unix - - n - 0 bounce", "what waits, and why"),
    ("trace", "unix - - n - 0 bounce", "notices of success, when asked for (RFC 3461)"),
    ("verify", "unix - - n - 1 verify", "remembers which recipients the internal server knows"),
    ("flush", "unix n - n 1000? 0 flush", "which mail waits for which domain"),
    ("proxymap", "unix - - n - - proxymap", "tables that several processes share"),
    ("showq", "unix n - n - - showq", "lists the queue"),
    ("error", "unix - - n - - error", "refuses what cannot be delivered"),
    ("retry", "unix - - n - - error", "puts off what can be delivered later"),
    ("discard", "unix - - n - - discard", "needed by the queue manager; nothing of the site leads here"),
    ("anvil", "unix - - n - 1 anvil", "counts connections and mails of each sender"),
    ("scache", "unix - - n - 1 scache", "keeps connections open between mails"),
    ("postlog", "unix-dgram n - n - 1 postlogd", "the log, where syslog is not used"),
)
NO_DNS = ("-o smtp_dns_support_level=disabled", "-o smtp_host_lookup=native")


def master(site: Site) -> Iterator[Line]:
    """All services. The fourth column says that none runs in a chroot: /run/gatepost must be reached, and names are read from /etc."""
    yield section("service / type / private / unprivileged / chroot / wakeup / limit / program")
    yield from _reception(site)
    yield from _submission(site)
    for name, rest, reason in INTERNAL:
        yield Line(_row(name, rest), reason)
    yield Line(_row("smtp", "unix - - n - - smtp"), "delivers to the world")
    yield Line(_row("relay", "unix - - n - - smtp", *NO_DNS, *_inner_tls(site)), "delivers to our own servers, without DNS")


def null_client_master() -> Iterator[Line]:
    """The services of a host that only sends: nothing listens on the network."""
    yield section("service / type / private / unprivileged / chroot / wakeup / limit / program")
    for name, rest, reason in INTERNAL:
        yield Line(_row(name, rest), reason)
    for name in ("smtp", "relay"):
        yield Line(_row(name, "unix - - n - - smtp"), "delivers to the relay")


def _row(name: str, rest: str, *options: str) -> str:
    cells = [name, *rest.split()]
    text = "".join(f"{cell:<{width}} " for cell, width in zip(cells, COLUMNS, strict=False)) + cells[-1]
    return "\n    ".join((text, *options))


def _listeners(listen: tuple[str, ...], anywhere: tuple[str, ...]) -> tuple[str, ...]:
    """Service names. All addresses at once are written by port alone, which also works where there is no IPv6."""
    if listen == anywhere:
        return (str(parse_endpoint(anywhere[0]).port),)
    ends = [parse_endpoint(text, 25) for text in listen]
    return tuple(f"[{end.host}]:{end.port}" if ":" in end.host else f"{end.host}:{end.port}" for end in ends)


def _reception(site: Site) -> Iterator[Line]:
    for name in _listeners(site.relay.listen, ANY_ADDRESS):
        if site.relay.postscreen:
            yield Line(_row(name, "inet n - n - 1 postscreen"), "where senders come in: postscreen looks first")
        else:
            yield Line(_row(name, "inet n - n - - smtpd"), "where senders come in")
    if site.relay.postscreen:
        yield Line(_row("smtpd", "pass - - n - - smtpd"), "takes over from postscreen")
        yield Line(_row("dnsblog", "unix - - n - 0 dnsblog"), "asks block lists for postscreen")
        yield Line(_row("tlsproxy", "unix - - n - 0 tlsproxy"), "TLS for postscreen")


def _submission(site: Site) -> Iterator[Line]:
    submission = site.relay.submission
    if submission.socket is None:
        return
    if site.relay.tls.certificate is None:
        raise RelayError("submission needs TLS, or passwords cross the net in the clear; give relay.tls.certificate and relay.tls.key")
    options = (
        "-o smtpd_tls_security_level=encrypt",
        "-o smtpd_sasl_auth_enable=yes",
        "-o smtpd_sasl_type=dovecot",
        f"-o smtpd_sasl_path={submission.socket.replace('unix:', '') if submission.socket.startswith('unix:') else 'inet:' + submission.socket}",
        "-o smtpd_relay_restrictions=permit_sasl_authenticated,reject",
        "-o smtpd_client_connection_rate_limit=0",
        "-o syslog_name=postfix/submission",
    )
    for name in _listeners(submission.listen, Submission().listen):
        yield Line(_row(name, "inet n - n - - smtpd", *options), "our people send from anywhere, with password and encryption (RFC 6409)")


def _inner_tls(site: Site) -> tuple[str, ...]:
    policy = site.mail.smtp.tls.policy
    level = {"none": "none", "opportunistic": "may", "required": "encrypt", "verified": "secure"}[policy]
    if policy != "verified":
        return (f"-o smtp_tls_security_level={level}",)
    names = {parse_endpoint(hop, 25).host for hop in (site.mail.next_hop, *site.mail.routes.values())}
    match = ":".join(sorted({name if "." in name else f"{name}.{site.mail.domains[0]}" for name in names}))
    return (f"-o smtp_tls_security_level={level}", f"-o smtp_tls_secure_cert_match={match}")
