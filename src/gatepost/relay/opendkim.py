"""OpenDKIM beside Gatepost: its configuration and tables, so that mail of our own domains leaves signed (RFC 6376).

What it does: signs only, last in the row of milters, what our zones and authenticated people send with a From of our domains.
Not its job: verifying (the engine `authentication` does), making the key (`dkim_key`), running OpenDKIM.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gatepost.relay.intent import Intent, socket_of
from gatepost.relay.text import Line, render, section
from gatepost.site.base import Endpoint
from gatepost.system.artifact import STAGED, Activation, Artifact

FOLDER = Path("/etc")
PROGRAM = "/usr/sbin/opendkim"
RUNNING = "/run/opendkim/opendkim.pid"
CHECK = (
    f'sed "s#$2/opendkim/#$1$2/opendkim/#g" "$1$2/opendkim.conf" > "$1/opendkim.conf.staged" && {PROGRAM} -n -x "$1/opendkim.conf.staged"'
)
"""OpenDKIM opens its tables when it checks, so it is shown those that are staged."""
RESTART = f"if test -d /run/systemd/system; then systemctl restart opendkim; elif test -s {RUNNING}; then kill -USR1 $(cat {RUNNING}); fi"


def activation(folder: Path = FOLDER) -> Activation:
    """How a running OpenDKIM takes up its files; the MTA puts mail off while it starts again."""
    return Activation(
        "opendkim",
        checks=(("/bin/sh", "-c", CHECK, "opendkim", STAGED, str(folder)),),
        commands=(("/bin/sh", "-c", RESTART),),
        interrupts="signing for less than a second; the MTA puts mail off meanwhile",
    )


def opendkim(wanted: Intent, folder: Path = FOLDER) -> tuple[Artifact, ...]:
    """Every file of the relay's OpenDKIM, none when the site signs nothing; tables come before what names them."""
    dkim = wanted.site.relay.dkim
    if dkim.selector is None:
        return ()
    domains = wanted.site.mail.domains
    texts = {
        "opendkim/key-table": render(
            Line(f"{domain}\t{domain}:{dkim.selector}:{dkim.path()}", f"signs as {dkim.selector}._domainkey.{domain}") for domain in domains
        ),
        "opendkim/signing-table": render(Line(f"*@{domain}\t{domain}", f"mail with a From of {domain}") for domain in domains),
        "opendkim/internal-hosts": render(Line(network, reason) for network, reason in wanted.networks),
        "opendkim.conf": render(_main(wanted, folder)),
    }
    reload = activation(folder)
    return tuple(Artifact(folder / name, text.encode(), activation=reload) for name, text in texts.items())


def _main(wanted: Intent, folder: Path) -> Iterator[Line]:
    yield section("What is signed")
    yield Line("Mode s", "signing only: signatures of others are verified by Gatepost, before anything is changed")
    yield Line(f"KeyTable {folder}/opendkim/key-table", "which key signs for which domain")
    yield Line(f"SigningTable refile:{folder}/opendkim/signing-table", "which From is signed for as which domain")
    yield Line(f"InternalHosts {folder}/opendkim/internal-hosts", "who sends for us; people with a password are ours from anywhere")
    yield Line("SignatureAlgorithm rsa-sha256", "the algorithm that every receiver knows (RFC 8301 3.1)")
    yield Line("MinimumKeyBits 1024", "shorter keys count nowhere (RFC 8301 3.2)")
    yield Line("Canonicalization relaxed/relaxed", "what mail servers do to blanks and folding breaks no signature")
    yield Line("OversignHeaders From", "nobody can put a second From into a signed mail (RFC 6376 8.15)")
    yield Line("RequireSafeKeys yes", "a key that others can read is not used")
    yield section("Where it listens")
    where = socket_of(wanted.site.relay.dkim.socket)
    yield Line(
        f"Socket inet:{where.port}@{where.host}" if isinstance(where, Endpoint) else f"Socket local:{where}",
        "relay.dkim.socket of the site file",
    )
    yield Line("UserID opendkim", "a user of its own, so that the key is out of reach of the MTA and of Gatepost")
    yield Line("UMask 007", "where it listens on a Unix socket, the MTA's user must be in the group opendkim")
    yield Line(f"PidFile {RUNNING}", "where Debian's service looks for it")
    yield Line("Syslog yes", "what is not signed, and why, is in the log")
    yield Line("On-Default tempfail", "mail that cannot be signed waits; unsigned it would be taken for a forgery")
