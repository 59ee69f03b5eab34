"""The relay room in one call: the site and the role of a host to the files of its MTA and of the signer beside it.

Not its job: writing them (`gatepost.deploy`), the languages of the MTAs (`postfix`, `sendmail`).
Raises: `RelayError` when the site does not say enough.
"""

from __future__ import annotations

from typing import Literal

from gatepost.relay.intent import intent
from gatepost.relay.null_client import null_client
from gatepost.relay.opendkim import opendkim
from gatepost.relay.postfix import postfix
from gatepost.relay.sendmail import sendmail
from gatepost.site.model import Site
from gatepost.site.relay import ANY_ADDRESS
from gatepost.system.artifact import Artifact

Role = Literal["relay", "firewall", "server", "all-in-one"]
Mta = Literal["postfix", "sendmail"]


def compile_relay(site: Site, role: Role = "relay", mta: Mta | None = None, aliases: frozenset[str] = frozenset()) -> tuple[Artifact, ...]:
    """The files of the MTA on a host of this role; `mta` in place of the site's, `aliases` are the left sides of the aliases file.

    The firewall sends its alerts through the relay and takes no mail; the internal server's MTA is not ours to write.
    """
    if role == "firewall":
        return null_client(site, "firewall")
    if role == "server":
        return ()
    wanted = intent(site, aliases)
    return (*opendkim(wanted), *(sendmail(wanted) if (mta or site.relay.mta) == "sendmail" else postfix(wanted)))


def remarks(site: Site, mta: Mta | None = None) -> tuple[str, ...]:
    """What of the site this MTA cannot do, and what nobody would notice, each with what to do about it."""
    said = [] if (mta or site.relay.mta) == "postfix" else _beyond_sendmail(site)
    if site.canary.enabled and site.canary.through is None:
        said.append(
            "an MTA that never calls the scanner passes all mail in silence, and nobody would notice; "
            f'write through = "{_reached(site)}" in [canary], so that canaries go through it'
        )
    return tuple(said)


def _reached(site: Site) -> str:
    """Where programs on the relay reach its MTA."""
    first = site.relay.listen[0]
    return "127.0.0.1:25" if site.relay.listen == ANY_ADDRESS else first


def _beyond_sendmail(site: Site) -> list[str]:
    said = []
    if site.mail.recipients.verify == "next-hop":
        said.append(
            'Sendmail cannot ask the next hop for recipients, so unknown ones are bounced later; write verify = "list" in [mail.recipients]'
        )
    if site.relay.postscreen:
        said.append("postscreen is Postfix's; Sendmail has nothing like it and goes without")
    if site.relay.limits.pause:
        said.append("Sendmail knows no pause between deliveries: relay.limits.pause is not kept")
    return said
