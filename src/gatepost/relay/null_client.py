"""A Postfix that only sends, for the firewall and other hosts without mail of their own: all goes to the relay, nothing listens.

Not its job: the relay itself (`postfix`).
Raises: `RelayError` when the site names no relay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gatepost.relay.intent import Hop, RelayError
from gatepost.relay.postfix import FOLDER, activation, place
from gatepost.relay.postfix_master import null_client_master
from gatepost.relay.text import Line, render, section
from gatepost.site.base import parse_endpoint
from gatepost.site.model import Site
from gatepost.system.artifact import Artifact


def null_client(site: Site, name: str, folder: Path = FOLDER) -> tuple[Artifact, ...]:
    """The files of a sending-only Postfix on the host called `name`."""
    texts = {"main.cf": render(_main(site, name, _relay(site))), "master.cf": render(null_client_master())}
    reload = activation(folder)
    return tuple(Artifact(folder / file, text.encode(), activation=reload) for file, text in texts.items())


def _relay(site: Site) -> Hop:
    for name, host in site.hosts.items():
        if host.role == "relay" and host.addresses:
            return Hop(host.addresses, parse_endpoint(site.relay.listen[0], 25).port, name)
    raise RelayError('no host of the site has the role "relay" and an address; declare it in a section [hosts.relay]')


def _main(site: Site, name: str, relay: Hop) -> Iterator[Line]:
    domain = site.mail.domains[0]
    yield section("A host that only sends")
    yield Line("compatibility_level = 3.6", "defaults of Postfix 3.6: no backwards-compatible guessing")
    yield Line(f"myhostname = {name}.{domain}", "the name that this host gives")
    yield Line(f"myorigin = {domain}", "what is written here without a domain is ours")
    yield Line("mydestination =", "nobody has a mailbox here")
    yield Line("local_transport = error:5.1.1 there are no mailboxes on this host", "nobody has a mailbox here")
    yield Line("alias_maps =", "nobody has a mailbox here")
    yield Line("inet_interfaces = loopback-only", "nothing listens on the network; programs on this host use the sendmail command")
    yield Line("mynetworks = 127.0.0.0/8, [::1]/128", "this host alone")
    yield Line(
        f"relayhost = {place(relay)}", "all mail is scanned by the relay; its address is written here, so that alerts leave with DNS dead"
    )
    yield Line("smtp_dns_support_level = disabled", "every next hop is written here: DNS is never asked")
    yield Line("smtp_host_lookup = native", "every next hop is written here: DNS is never asked")
    yield Line("smtp_tls_security_level = may", "encrypted, where the relay offers it")
    yield Line("smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt", "whom to believe, where a certificate is verified")
    yield Line("maximal_queue_lifetime = 5d", "how long alerts wait for the relay")
