"""The relay as a complete Sendmail: sendmail.mc and its tables, from what the relay shall do.

What it does: writes the m4 source, each line with its reason. Tables are of the kind text, which Sendmail reads as they are: no compiled
copy can be older than its source. Relay rights stand in the access table only: a file relay-domains would also let in every host whose
reverse name is in one of our domains.
Not its job: what the relay shall do (`intent`), the access table (`sendmail_access`), running m4 or Sendmail (`check`).
Raises: `RelayError` when the site asks for what Sendmail cannot do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gatepost.relay.intent import Hop, Intent, RelayError, RowMilter, is_address, is_ipv6
from gatepost.relay.sendmail_access import access
from gatepost.relay.text import Line, render, section
from gatepost.site.base import Endpoint, parse_endpoint
from gatepost.site.relay import ANY_ADDRESS
from gatepost.system.artifact import STAGED, Activation, Artifact

FOLDER = Path("/etc/mail")
LIBRARY = Path("/usr/share/sendmail/cf")
MARK = "dnl #"
BUILD = 'umask 022; m4 -D_CF_DIR_="$2/" "$1/sendmail.mc" > "$1/.sendmail.cf.new" && mv "$1/.sendmail.cf.new" "$1/sendmail.cf"'
RELOAD = "; test ! -s /run/sendmail/mta/sendmail.pid || kill -HUP $(head -n 1 /run/sendmail/mta/sendmail.pid)"
OLD_TLS = "+SSL_OP_NO_SSLv2 +SSL_OP_NO_SSLv3 +SSL_OP_NO_TLSv1 +SSL_OP_NO_TLSv1_1"


def activation(folder: Path = FOLDER, library: Path = LIBRARY) -> Activation:
    """How a running Sendmail takes up its files: sendmail.cf is made anew and the daemon restarts itself; open sessions go on."""
    source = f"{STAGED}{folder}/sendmail.mc"
    return Activation(
        "sendmail",
        checks=(("/bin/sh", "-c", 'm4 -D_CF_DIR_="$2/" "$1" > /dev/null', "m4", source, str(library)),),
        commands=(("/bin/sh", "-c", BUILD + RELOAD, "sendmail", str(folder), str(library)),),
        interrupts="new connections for less than a second, while Sendmail starts again; senders try again",
    )


def sendmail(wanted: Intent, folder: Path = FOLDER, library: Path = LIBRARY) -> tuple[Artifact, ...]:
    """Every file of the relay's Sendmail; tables come before what names them."""
    if wanted.site.relay.submission.socket is not None:
        raise RelayError('Sendmail cannot ask Dovecot for passwords; leave relay.submission out, or write mta = "postfix" in [relay]')
    texts = {
        "mailertable": render(
            Line(f"{domain}\t{_place(hop)}", f"mail for {domain} goes on to {hop.name}") for domain, hop in wanted.routes
        ),
        "access": render(access(wanted)),
        "service.switch": render([_lookup(wanted)]),
        "sendmail.mc": render(_source(wanted, folder, library), MARK),
    }
    reload = activation(folder, library)
    return tuple(Artifact(folder / name, text.encode(), activation=reload) for name, text in texts.items())


def _place(hop: Hop) -> str:
    """A next hop as Sendmail writes it: a mailer of that port, and hosts in brackets so that nobody looks for MX records."""
    return f"hop{hop.port}:" + ":".join(f"[{'IPv6:' if is_ipv6(host) else ''}{host}]" for host in hop.hosts)


def _lookup(wanted: Intent) -> Line:
    if wanted.outbound:
        return Line("hosts files", "every next hop is written here: DNS is never asked")
    return Line("hosts files dns", "/etc/hosts first, so that the way to our own servers works with DNS dead")


def _source(wanted: Intent, folder: Path, library: Path) -> Iterator[Line]:
    yield Line("divert(0)dnl", "what stands above is for people")
    yield Line(f"include(`{library}/m4/cf.m4')dnl", "Sendmail's own macros")
    yield Line("OSTYPE(`linux')dnl", "paths of this system")
    yield from _identity(wanted, folder)
    yield from _routes(wanted, folder)
    yield from _admission(folder)
    yield from _scanning(wanted)
    yield from _bytes()
    yield from _tls(wanted)
    yield from _limits(wanted)
    yield from _listeners(wanted)
    yield section("Mailers")
    yield Line("MAILER(`smtp')dnl", "delivery by SMTP; there is no local mailer")
    yield Line("MAILER_DEFINITIONS", "delivery to our own servers")
    yield from _mailers(wanted)
    yield from _smuggling()


def _identity(wanted: Intent, folder: Path) -> Iterator[Line]:
    yield section("Who this is")
    yield Line(f"define(`confDOMAIN_NAME', `{wanted.hostname}')dnl", "the name in greetings; DNS must lead from it to this host and back")
    yield Line("define(`ALIAS_FILE', `')dnl", "nobody has a mailbox on the relay: aliases are the internal server's")
    hub = _place(wanted.routes[0][1])
    yield Line(
        f"define(`MAIL_HUB', `{hub}')dnl", "mail without a domain, such as for postmaster, goes to the internal server (RFC 5321 4.5.1)"
    )
    yield Line(
        f"define(`confDOUBLE_BOUNCE_ADDRESS', `{wanted.site.postmaster}')dnl",
        "who hears of mail that can be neither delivered nor returned",
    )
    yield Line(f"define(`confSERVICE_SWITCH_FILE', `{folder}/service.switch')dnl", "where names are looked up")


def _routes(wanted: Intent, folder: Path) -> Iterator[Line]:
    yield section("Where mail goes")
    yield Line(
        f"FEATURE(`mailertable', `text -z\\t -k0 -v1 {folder}/mailertable')dnl", "the way of our domains by address: it works with DNS dead"
    )
    if wanted.outbound:
        yield Line(f"define(`SMART_HOST', `{_place(wanted.outbound)}')dnl", f"mail to the world goes through {wanted.outbound.name}")
    yield Line("FEATURE(`nocanonify')dnl", "addresses are not completed by DNS")
    yield Line("FEATURE(`accept_unresolvable_domains')dnl", "mail is taken with DNS dead; who sends what is judged by Gatepost")
    yield Line("FEATURE(`nouucp', `reject')dnl", "host!user is an old way round the relay rules")


def _admission(folder: Path) -> Iterator[Line]:
    yield section("Who may send what")
    what = "networks that may send to the world, our domains, recipients; nobody else may send through here"
    yield Line(f"FEATURE(`access_db', `text -z\\t -k0 -v1 -T<TMPF> {folder}/access', `relaytofulladdress')dnl", what)
    yield Line("FEATURE(`blocklist_recipients')dnl", "unknown recipients are refused while the sender is there, where there is a list")
    flags = "authwarnings,needmailhelo,novrfy,noexpn,noverb,restrictmailq,restrictqrun"
    yield Line(
        f"define(`confPRIVACY_FLAGS', `{flags}')dnl", "strangers are not told who works here; a sender introduces itself (RFC 5321 4.1.4)"
    )


def _scanning(wanted: Intent) -> Iterator[Line]:
    yield section("Scanning")
    for milter in wanted.milters:
        yield Line(_milter(milter, wanted.milter_seconds), _why(milter))
    names = ",".join(milter.name for milter in wanted.milters)
    yield Line(f"define(`confINPUT_MAIL_FILTERS', `{names}')dnl", "every mail is seen by these, in this order")
    yield Line("define(`confMILTER_LOG_LEVEL', `9')dnl", "what milters say is in the log")


def _why(milter: RowMilter) -> str:
    if milter.ours:
        return "no scan, no delivery: with F=T the sender keeps the mail while Gatepost is silent; without F= it would pass unscanned"
    return f"{milter.name}, of the site file; mail {'waits' if milter.required else 'goes on'} while it is silent"


def _milter(milter: RowMilter, seconds: int) -> str:
    at = milter.socket
    kind = "inet6" if isinstance(at, Endpoint) and is_ipv6(at.host) else "inet"
    where = f"{kind}:{at.port}@{at.host}" if isinstance(at, Endpoint) else f"local:{at}"
    flag = "F=T, " if milter.required else ""
    return f"INPUT_MAIL_FILTER(`{milter.name}', `S={where}, {flag}T=C:10s;S:30s;R:{seconds}s;E:{seconds}s')dnl"


def _bytes() -> Iterator[Line]:
    yield section("What is scanned is what is delivered")
    yield Line("define(`confEIGHT_BIT_HANDLING', `pass8')dnl", "encoding after scanning would make another mail, and break DKIM signatures")
    yield Line("define(`SMTP_MAILER_LL', `0')dnl", "breaking long lines after scanning would make another mail, and break DKIM signatures")
    yield Line("define(`SMTP_MAILER_FLAGS', `8')dnl", "encoding after scanning would make another mail, and break DKIM signatures")


def _tls(wanted: Intent) -> Iterator[Line]:
    tls = wanted.site.relay.tls
    yield section("TLS")
    yield Line("define(`confCACERT_PATH', `/etc/ssl/certs')dnl", "whom to believe, where a certificate is verified")
    yield Line("define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')dnl", "whom to believe, where a certificate is verified")
    yield Line("define(`confTLS_SRV_OPTIONS', `V')dnl", "no certificate is asked of senders")
    yield Line(f"define(`confSERVER_SSL_OPTIONS', `{OLD_TLS}')dnl", "older versions than 1.2 are broken (RFC 8996)")
    yield Line(f"define(`confCLIENT_SSL_OPTIONS', `{OLD_TLS}')dnl", "older versions than 1.2 are broken (RFC 8996)")
    if tls.certificate and tls.key:
        yield Line(f"define(`confSERVER_CERT', `{tls.certificate}')dnl", "certificate of the relay; encryption is offered to senders")
        yield Line(f"define(`confSERVER_KEY', `{tls.key}')dnl", "key of the relay")


def _limits(wanted: Intent) -> Iterator[Line]:
    flood = wanted.site.relay.limits
    seconds = round(wanted.site.relay.keep)
    yield section("Floods, and while a server is down")
    yield Line("FEATURE(`delay_checks')dnl", "the limits below are looked at before anything else")
    yield Line(
        "FEATURE(`ratecontrol', `nodelay', `terminate')dnl",
        "new connections of one sender in a minute; the numbers are in the access table",
    )
    yield Line("FEATURE(`conncontrol', `nodelay', `terminate')dnl", "sessions at a time of one sender; the numbers are in the access table")
    yield Line(f"define(`confMAX_MESSAGE_SIZE', `{wanted.site.mail.size_limit}')dnl", "mail.size_limit of the site file, in bytes")
    yield Line(f"define(`confMAX_DAEMON_CHILDREN', `{flood.processes}')dnl", "sessions at a time, of all senders together")
    yield Line(f"define(`confMAX_QUEUE_CHILDREN', `{flood.deliveries}')dnl", "queue runs at a time to the internal server")
    yield Line("define(`confMAX_RCPTS_PER_MESSAGE', `1000')dnl", "recipients of one mail")
    yield Line("define(`confBAD_RCPT_THROTTLE', `3')dnl", "who guesses recipients waits")
    yield Line("define(`confTO_IDENT', `0s')dnl", "IDENT costs time and tells nothing")
    yield Line("define(`confTO_RESOLVER_RETRANS', `2s')dnl", "with DNS dead a greeting is late by seconds, not minutes")
    yield Line("define(`confTO_RESOLVER_RETRY', `2')dnl", "with DNS dead a greeting is late by seconds, not minutes")
    yield Line(f"define(`confTO_QUEUERETURN', `{seconds}s')dnl", "how long mail waits (RFC 5321 4.5.4.1 asks for four to five days)")
    yield Line("define(`confTO_QUEUEWARN', `4h')dnl", "when the sender hears that the mail still waits")


def _listeners(wanted: Intent) -> Iterator[Line]:
    yield section("Where senders come in")
    listen = wanted.site.relay.listen
    yield Line("FEATURE(`no_default_msa')dnl", "only what stands here")
    for number, text in enumerate(listen, 1):
        end = parse_endpoint(text, 25)
        where = "" if listen == ANY_ADDRESS and end.host == "0.0.0.0" else f"Addr={end.host}, "  # noqa: S104 - compared, not bound
        family = "inet6" if is_ipv6(end.host) else "inet"
        options = f"Name=MTA{number}, Family={family}, {where}Port={end.port}, M=A"
        yield Line(f"DAEMON_OPTIONS(`{options}')dnl", "relay.listen of the site file; with M=A nobody gets in by guessing passwords")


def _mailers(wanted: Intent) -> Iterator[Line]:
    hops = [hop for _, hop in wanted.routes] + ([wanted.outbound] if wanted.outbound else [])
    for port in sorted({hop.port for hop in hops}):
        rules = "S=EnvFromSMTP/0, R=EnvToSMTP/0, E=\\r\\n, L=0, T=DNS/RFC822/SMTP"
        yield Line(
            f"Mhop{port},\tP=[IPC], F=mDFMuXa8k, {rules}, A=TCP $h {port}",
            "headers and lines as they are (rulesets /0, L=0, 8)"
            if all(is_address(host) for hop in hops for host in hop.hosts)
            else "headers and lines as they are (rulesets /0, L=0, 8); names are looked up in /etc/hosts",
        )


def _smuggling() -> Iterator[Line]:
    yield Line("LOCAL_SRV_FEATURES", "one end of a mail (SMTP smuggling, CVE-2023-51765)")
    yield Line("R$*\t\t$# o", "only CR LF . CR LF ends a mail (RFC 5321 4.1.1.4)")
