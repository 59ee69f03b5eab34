"""The relay as a complete Postfix: main.cf, master.cf and the tables, from what the relay shall do.

What it does: writes every setting that is not left to Postfix's default, each with its reason. Tables are of the kinds texthash, cidr and
inline, which Postfix reads as they are: no compiled copy can be older than its source, and a change is whole with its file.
Not its job: what the relay shall do (`intent`), services (`postfix_master`), running Postfix (`check`).
Raises: `RelayError` when the site asks for what Postfix cannot do safely.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gatepost.relay.intent import Hop, Intent, RowMilter, is_ipv6
from gatepost.relay.postfix_master import master
from gatepost.relay.text import Line, render, section
from gatepost.site.base import Endpoint, RateLimit
from gatepost.system.artifact import STAGED, Activation, Artifact

FOLDER = Path("/etc/postfix")
TLS_LEVEL = {"none": "none", "opportunistic": "may", "required": "encrypt", "verified": "verify"}
RESTART = 'test -d /run/systemd/system && exec systemctl reload-or-restart postfix; /usr/sbin/postfix -c "$1" status 2>/dev/null && exec /usr/sbin/postfix -c "$1" reload; exec /usr/sbin/postfix -c "$1" start'

TABLE = "texthash:$config_directory/"


def activation(folder: Path = FOLDER) -> Activation:
    """How a running Postfix takes up its files: sessions that are open go on with what they began with."""
    return Activation(
        "postfix",
        checks=(("/usr/sbin/postconf", "-c", f"{STAGED}{folder}", "-n"), ("/usr/sbin/postconf", "-c", f"{STAGED}{folder}", "-M")),
        commands=(("/bin/sh", "-c", RESTART, "postfix", str(folder)),),
        interrupts="nothing: Postfix reloads, open sessions go on",
    )


def postfix(wanted: Intent, folder: Path = FOLDER) -> tuple[Artifact, ...]:
    """Every file of the relay's Postfix; tables come before what names them."""
    texts = {"transport": _transport(wanted), "mynetworks": _networks(wanted)}
    if wanted.recipients is not None:
        texts["relay_recipients"] = _recipients(wanted.recipients)
    texts |= {"main.cf": render(_main(wanted)), "master.cf": render(master(wanted.site))}
    reload = activation(folder)
    return tuple(Artifact(folder / name, text.encode(), activation=reload) for name, text in texts.items())


def place(hop: Hop) -> str:
    """A next hop as Postfix writes it, in brackets so that nobody looks for MX records; further addresses are tried in order."""
    return ", ".join(f"[{'ipv6:' if is_ipv6(host) else ''}{host}]:{hop.port}" for host in hop.hosts)


def _transport(wanted: Intent) -> str:
    lines = [Line(f"{domain}\trelay:{place(hop)}", f"mail for {domain} goes on to {hop.name}") for domain, hop in wanted.routes]
    return render(lines)


def _networks(wanted: Intent) -> str:
    return render(Line(f"{network}\tOK", reason) for network, reason in wanted.networks)


def _recipients(addresses: tuple[str, ...]) -> str:
    return render(Line(f"{address}\tOK", "who gets mail here, from mail.recipients of the site file") for address in addresses)


def _main(wanted: Intent) -> Iterator[Line]:
    yield from _identity(wanted)
    yield from _routes(wanted)
    yield from _admission(wanted)
    yield from _scanning(wanted)
    yield from _smuggling()
    yield from _bytes()
    yield from _tls(wanted)
    yield from _limits(wanted)
    yield from _queue(wanted)
    if wanted.site.relay.postscreen:
        yield from _postscreen()


def _identity(wanted: Intent) -> Iterator[Line]:
    domain = wanted.site.mail.domains[0]
    yield section("Who this is")
    yield Line("compatibility_level = 3.6", "defaults of Postfix 3.6: no backwards-compatible guessing")
    yield Line(f"myhostname = {wanted.hostname}", "the name in greetings; DNS must lead from it to this host and back")
    yield Line(f"myorigin = {domain}", "what is written on this host without a domain is ours")
    yield Line("mydestination =", "nobody has a mailbox on the relay: everything goes on")
    yield Line("local_recipient_maps =", "nobody has a mailbox on the relay: everything goes on")
    yield Line("local_transport = error:5.1.1 there are no mailboxes on the relay", "a mail for the relay itself is a mistake and is told")
    yield Line("alias_maps =", "nobody has a mailbox on the relay: aliases are the internal server's")
    yield Line("alias_database =", "nobody has a mailbox on the relay: aliases are the internal server's")
    yield Line("inet_interfaces = all", "its own addresses, so that mail in a circle is noticed; master.cf says where it listens")
    yield Line("biff = no", "nobody reads mail on the relay")
    yield Line(f"2bounce_notice_recipient = {wanted.site.postmaster}", "who hears of mail that can be neither delivered nor returned")
    yield Line(f"error_notice_recipient = {wanted.site.postmaster}", "who hears of the relay's own trouble")


def _routes(wanted: Intent) -> Iterator[Line]:
    yield section("Where mail goes")
    yield Line(f"relay_domains = {', '.join(wanted.site.mail.domains)}", "our domains: strangers may send to these and to nothing else")
    yield Line(
        f"transport_maps = {TABLE}transport", "the way of our domains by address: it works with DNS dead (RFC 5321 5.1 asks DNS otherwise)"
    )
    if wanted.outbound:
        yield Line(f"relayhost = {place(wanted.outbound)}", f"mail to the world goes through {wanted.outbound.name}")
        yield Line("smtp_dns_support_level = disabled", "every next hop is written here: DNS is never asked")
        yield Line("smtp_host_lookup = native", "a next hop by name is looked up in /etc/hosts")
    else:
        yield Line("relayhost =", "mail to the world goes straight to its servers, found by DNS")
    environment = "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C { RES_OPTIONS = timeout:2 attempts:1 }"
    yield Line(
        f"import_environment = {environment}",
        "with DNS dead a greeting is late by seconds, not by half a minute (resolv.conf(5), RES_OPTIONS)",
    )
    yield Line("append_dot_mydomain = no", "an address is completed by who wrote it, or refused")
    yield Line("swap_bangpath = no", "host!user is an old way round the relay rules")
    yield Line("allow_percent_hack = no", "user%host is an old way round the relay rules")
    yield Line("allow_untrusted_routing = no", "@host:user and user@host@ours are old ways round the relay rules")
    yield Line("recipient_delimiter = +", "name+anything belongs to name (RFC 5233)")


def _admission(wanted: Intent) -> Iterator[Line]:
    sasl = "permit_sasl_authenticated, " if wanted.site.relay.submission.socket else ""
    yield section("Who may send what")
    yield Line("mynetworks = cidr:$config_directory/mynetworks", "networks that may send to the world, by zones of the site")
    yield Line(
        f"smtpd_relay_restrictions = permit_mynetworks, {sasl}reject_unauth_destination",
        "the relay is open to our zones only; others may send to our domains only",
    )
    yield Line(
        f"smtpd_recipient_restrictions = reject_non_fqdn_recipient, {_verification(wanted)}permit",
        "unknown recipients are refused while the sender is there: what is accepted and then bounced hits the innocent",
    )
    yield from _asking(wanted)
    yield Line("smtpd_reject_unlisted_recipient = yes", "recipients that are on no list are refused, where there is a list")
    yield Line("smtpd_helo_required = yes", "a sender introduces itself (RFC 5321 4.1.4)")
    yield Line("disable_vrfy_command = yes", "VRFY would tell strangers who works here (RFC 5321 7.3 allows this)")
    yield Line("smtpd_sasl_auth_enable = no", "passwords are for the submission port only")
    yield Line("smtpd_authorized_xclient_hosts =", "nobody may claim another's address")
    yield Line("smtpd_authorized_xforward_hosts =", "nobody may claim another's address")


def _verification(wanted: Intent) -> str:
    if not wanted.asks:
        return ""
    pairs = " ".join(f"{{{domain} = reject_unverified_recipient}}" for domain in wanted.site.mail.domains)
    return f"check_recipient_access inline:{{{pairs}}}, "


def _asking(wanted: Intent) -> Iterator[Line]:
    if wanted.recipients is not None:
        yield Line(f"relay_recipient_maps = {TABLE}relay_recipients", "the list of everybody who gets mail here")
        return
    yield Line("relay_recipient_maps =", "no list is kept here")
    if wanted.asks:
        yield Line("address_verify_sender =", "the question to the internal server has the null sender, which every server takes")
        yield Line("address_verify_positive_expire_time = 31d", "a known recipient stays known while the internal server is down")
        yield Line("address_verify_negative_refresh_time = 10m", "a new employee gets mail ten minutes after the mailbox is made")
        yield Line("unverified_recipient_reject_code = 550", "the internal server said no: so do we")
        yield Line("unverified_recipient_defer_code = 450", "the internal server is silent: the sender keeps the mail and tries again")


def _scanning(wanted: Intent) -> Iterator[Line]:
    row = ", ".join(_milter(milter, wanted.milter_seconds) for milter in wanted.milters)
    yield section("Scanning")
    yield Line(
        "milter_default_action = tempfail", "no scan, no delivery: while a milter is silent the sender keeps the mail and tries again"
    )
    yield Line(f"smtpd_milters = {row}", f"every mail from the network is seen by {_names(wanted)}, in this order")
    yield Line("non_smtpd_milters = $smtpd_milters", "mail written on this host is seen by the same")
    yield Line("milter_protocol = 6", "the newest protocol: only what a milter wants is sent to it")
    yield Line("milter_connect_timeout = 10s", "a milter on this machine answers at once, or not at all")
    yield Line("milter_command_timeout = 30s", "a milter on this machine answers at once, or not at all")
    yield Line(f"milter_content_timeout = {wanted.milter_seconds}s", "mail.limits.wall of the site, and a minute")
    yield Line("receive_override_options =", "nothing switches milters off for a part of the mail")


def _names(wanted: Intent) -> str:
    return ", ".join(milter.name for milter in wanted.milters)


def _milter(milter: RowMilter, seconds: int) -> str:
    where = f"inet:{_inet(milter.socket)}" if isinstance(milter.socket, Endpoint) else f"unix:{milter.socket}"
    action = "tempfail" if milter.required else "accept"
    return f"{{ {where}, default_action={action}, content_timeout={seconds}s }}"


def _inet(endpoint: Endpoint) -> str:
    return f"[{endpoint.host}]:{endpoint.port}" if is_ipv6(endpoint.host) else f"{endpoint.host}:{endpoint.port}"


def _smuggling() -> Iterator[Line]:
    yield section("One end of a mail (SMTP smuggling, CVE-2023-51764)")
    yield Line(
        "smtpd_forbid_bare_newline = normalize",
        "only CR LF . CR LF ends a mail (RFC 5321 4.1.1.4); other line ends are put right before scanning",
    )
    yield Line("smtpd_forbid_bare_newline_exclusions =", "this holds for our own networks too")
    yield Line("smtpd_forbid_unauth_pipelining = yes", "who talks before it is asked is smuggling or a zombie")
    yield Line("smtpd_data_restrictions = reject_unauth_pipelining, permit", "who talks before it is asked is smuggling or a zombie")
    yield Line("smtpd_discard_ehlo_keywords = chunking, silent-discard", "BDAT has another idea of where a mail ends; nobody needs it")


def _bytes() -> Iterator[Line]:
    yield section("What is scanned is what is delivered")
    yield Line("smtp_line_length_limit = 0", "breaking long lines after scanning would make another mail, and break DKIM signatures")
    yield Line(
        "disable_mime_output_conversion = yes", "encoding 8-bit text after scanning would make another mail, and break DKIM signatures"
    )
    yield Line("local_header_rewrite_clients =", "headers are not completed or rewritten")
    yield Line("remote_header_rewrite_domain =", "headers are not completed or rewritten")
    yield Line("header_checks =", "nothing but Gatepost changes or drops a header")
    yield Line("body_checks =", "nothing but Gatepost judges a body")
    yield Line("content_filter =", "there is one way, and it leads through Gatepost before the mail is accepted")


def _tls(wanted: Intent) -> Iterator[Line]:
    tls = wanted.site.relay.tls
    yield section("TLS")
    if tls.certificate and tls.key:
        yield Line("smtpd_tls_security_level = may", "encryption is offered; demanding it would turn mail away (RFC 3207 4)")
        yield Line(f"smtpd_tls_chain_files = {tls.key}, {tls.certificate}", "key and certificate of the relay")
        yield Line("smtpd_tls_auth_only = yes", "no password without encryption")
    else:
        yield Line("smtpd_tls_security_level = none", "no certificate in relay.tls of the site file")
    yield Line(f"smtp_tls_security_level = {TLS_LEVEL[tls.policy]}", f"relay.tls.policy of the site file is {tls.policy}")
    yield Line("smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt", "whom to believe, where a certificate is verified")
    yield Line("smtpd_tls_mandatory_protocols = >=TLSv1.2", "older versions are broken (RFC 8996)")
    yield Line("smtpd_tls_protocols = >=TLSv1.2", "older versions are broken (RFC 8996)")
    yield Line("smtp_tls_mandatory_protocols = >=TLSv1.2", "older versions are broken (RFC 8996)")
    yield Line("smtp_tls_protocols = >=TLSv1.2", "older versions are broken (RFC 8996)")
    yield Line("smtpd_tls_loglevel = 1", "one line a connection, so that the log shows who encrypts")
    yield Line("smtp_tls_loglevel = 1", "one line a connection, so that the log shows who encrypts")


def _limits(wanted: Intent) -> Iterator[Line]:
    flood = wanted.site.relay.limits
    yield section("Floods: the internal server sees no more than this")
    yield Line(f"message_size_limit = {wanted.site.mail.size_limit}", "mail.size_limit of the site file, in bytes")
    yield Line("mailbox_size_limit = 0", "there are no mailboxes")
    yield Line(f"default_process_limit = {flood.processes}", "sessions at a time, of all senders together")
    yield Line(f"smtpd_client_connection_count_limit = {flood.connections}", "sessions at a time, of one sender")
    unit = max(flood.rate.seconds, flood.messages.seconds, flood.recipients.seconds)
    yield Line(f"anvil_rate_time_unit = {unit}s", "the time that the rates below are for")
    yield Line(f"smtpd_client_connection_rate_limit = {_within(flood.rate, unit)}", "new connections of one sender in that time")
    yield Line(f"smtpd_client_message_rate_limit = {_within(flood.messages, unit)}", "mails of one sender in that time")
    yield Line(f"smtpd_client_recipient_rate_limit = {_within(flood.recipients, unit)}", "recipients of one sender in that time")
    yield Line("smtpd_client_event_limit_exceptions = $mynetworks", "our own servers and lists may send many at once")
    yield Line("smtpd_recipient_limit = 1000", "recipients of one mail")
    yield Line("smtpd_error_sleep_time = 1s", "who makes mistakes waits")
    yield Line("smtpd_soft_error_limit = 5", "who makes many mistakes waits longer")
    yield Line("smtpd_hard_error_limit = 20", "and is then disconnected")
    yield Line("smtpd_junk_command_limit = 50", "commands that lead to no mail")
    yield Line(f"relay_destination_concurrency_limit = {flood.deliveries}", "connections to the internal server at a time")
    yield Line(f"relay_destination_rate_delay = {round(flood.pause)}s", "pause between two deliveries to the internal server")


def _within(rate: RateLimit, seconds: int) -> int:
    """How many events of `rate` there are in so many seconds, which are a multiple of its own."""
    return rate.count * seconds // rate.seconds


def _queue(wanted: Intent) -> Iterator[Line]:
    days = f"{round(wanted.site.relay.keep)}s"
    yield section("While a server is down")
    yield Line(f"maximal_queue_lifetime = {days}", "how long mail waits (RFC 5321 4.5.4.1 asks for four to five days)")
    yield Line(f"bounce_queue_lifetime = {days}", "how long a notice of failure waits")
    yield Line("delay_warning_time = 4h", "when the sender hears that the mail still waits")
    yield Line("minimal_backoff_time = 5m", "the first new try")
    yield Line("maximal_backoff_time = 30m", "at the latest half an hour after the internal server is back, all mail is there")


def _postscreen() -> Iterator[Line]:
    yield section("postscreen: zombies are turned away before they cost a session")
    yield Line("postscreen_access_list = permit_mynetworks", "our own hosts are not tested")
    yield Line("postscreen_greet_action = enforce", "a client that talks before the greeting is over is no mail server")
    yield Line("postscreen_disable_vrfy_command = yes", "as in a session")
