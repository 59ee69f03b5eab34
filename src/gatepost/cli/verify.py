"""`gatepost verify`: probe the real machine from outside and compare with what was declared.

Exit status: 0 as declared, 1 something else passed or did not pass, 2 the scan could not have seen everything.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Annotated

import typer

from gatepost.cli.common import SITE, JsonOption, SiteOption, fail, note, site_of
from gatepost.firewall import outside, vantage
from gatepost.firewall.canary import HOLD, Canary, shows_uptime
from gatepost.firewall.declare import Policy
from gatepost.firewall.declared import read_policy
from gatepost.firewall.nft import NftError
from gatepost.report.perimeter import VERIFIED
from gatepost.services.messages import Note
from gatepost.site.problem import SiteError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def verify(
    zone: Annotated[str, typer.Option("--from", metavar="ZONE", help="The zone that is scanned from.")],
    target: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Only this address; may be repeated.")] = None,
    ssh: Annotated[
        str, typer.Option(metavar="HOST", help="Run on the firewall, and scan from this host; it needs only ssh and Python.")
    ] = "",
    source: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="The scanner's address as the firewall sees it; may be repeated.")
    ] = None,
    opened: Annotated[
        list[str] | None,
        typer.Option("--open", metavar="ADDRESS", help="On the firewall: open the canary for a scanner that runs elsewhere."),
    ] = None,
    site: SiteOption = SITE,
    json_output: JsonOption = False,
) -> None:
    """Try every side of the real machine from a host of one zone, in IPv4 and IPv6, and compare with the site file.

    With --ssh on the firewall it does everything. Without, run it on a host of the zone while the firewall holds the canary open:
    a port for that scanner alone, so that "nothing found" is known to be a scan that could have found something.

    Example:

        gatepost verify --from internet --ssh probe.example.net

        gatepost verify --from internet --open 198.51.100.7     on the firewall, and then on that host:
        gatepost verify --from internet
    """
    try:
        policy = read_policy(site)
        _must_fit(policy, zone, [*(target or ()), *(source or ()), *(opened or ())])
        if opened:
            _hold(policy, zone, opened)
            return
        command = vantage.far(ssh) if ssh else vantage.here()
        asked = target or outside.targets(policy, zone)
        report = outside.scan(policy, zone, command, asked, source or [], "" if ssh else None)
    except (SiteError, NftError, vantage.VantageError, outside.OutsideError, OSError) as error:
        fail(str(error))
    note(site_of(site), Note(VERIFIED, zone, {"well": report.status == 0}))
    text = json.dumps(outside.report_data(report), indent=2) if json_output else outside.report_text(report)
    sys.stdout.write(text + "\n")
    raise typer.Exit(report.status)


def _must_fit(policy: Policy, zone: str, addresses: Sequence[str]) -> None:
    if zone not in policy.zones:
        fail(f"there is no zone {zone!r}; the site has {', '.join(policy.zones)}")
    for address in addresses:
        try:
            ip_address(address)
        except ValueError:
            fail(f"{address!r} is no IP address")


def _hold(policy: Policy, zone: str, sources: list[str]) -> None:
    """Keep the canary open until the time is over or the user ends it."""
    with Canary(outside.canary_addresses(policy, zone, sources), sources, HOLD) as canary:
        sys.stdout.write(f"open for {', '.join(sources)} for {HOLD} seconds; end with Ctrl-C when the scan is done\n")
        sys.stdout.flush()
        try:
            time.sleep(HOLD)
        except KeyboardInterrupt:
            pass
        finally:
            sys.stdout.write(f"{canary.packets()} packets seen from there\n")
    if shows_uptime():
        sys.stdout.write("the firewall's TCP timestamps show how long it is up: set net.ipv4.tcp_timestamps = 1\n")
