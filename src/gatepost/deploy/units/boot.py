"""The boot of a firewall: nothing passes before the network is there, forwarding begins after the proof, and only named units run.

What it does: the unit that loads the base chains, the one that loads and proves the confirmed rules, the watch over the kernel's rules,
and the target that a firewall boots into.
Not its job: the rules (`gatepost.firewall`).
Raises: nothing.

Order: base chains (a policy of drop) → network → confirmed rules, proved → forwarding. Where the base cannot be loaded the network
does not start.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.deploy.units.services import PEERS, PROGRAM, SITE
from gatepost.deploy.units.unit import Section, Unit, service
from gatepost.site.model import Site

BASE_FILE = "/etc/gatepost/firewall-base.nft"
NETWORKS = ("networking.service", "systemd-networkd.service", "NetworkManager.service", "ifup@.service")
"""Whoever brings interfaces up, on Debian."""

ALLOWED = (
    "basic.target",
    "getty.target",
    "networking.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "chrony.service",
    "ssh.service",
    "cron.service",
    "rsyslog.service",
    "ulogd2.service",
    "postfix.service",
    "dbus.service",
    "systemd-logind.service",
    "timers.target",
)
"""What runs on a firewall besides Gatepost, where it is installed; `integrity.allowed.units` of the site file adds to it."""

NETWORK_ADMIN: Section = {
    **PEERS,
    "PrivateNetwork": "no",
    "RestrictAddressFamilies": "AF_UNIX AF_NETLINK",
    "CapabilityBoundingSet": "CAP_NET_ADMIN",
    "ProtectKernelTunables": "no",
    "ProcSubset": "all",
    "IPAddressDeny": "any",
}


def firewall_units(site: Site, *, alone: bool) -> Iterator[Unit]:
    """The units of a firewall; `alone` is true where the host is nothing else, and so boots into the list of allowed units."""
    state = f"{site.site.state}/firewall"
    yield service(
        "gatepost-firewall-base",
        "Gatepost: nothing passes until the rules are loaded and proved",
        {
            "Type": "oneshot",
            "RemainAfterExit": "yes",
            "ExecStart": ("/sbin/sysctl -qw net.ipv4.ip_forward=0", f"/usr/sbin/nft -f {BASE_FILE}"),
        },
        NETWORK_ADMIN,
        {
            "DefaultDependencies": "no",
            "After": "local-fs.target",
            "Before": "sysinit.target network-pre.target shutdown.target",
            "Conflicts": "shutdown.target",
            "Wants": "network-pre.target",
        },
    )
    yield Unit(
        "sysinit.target.d/51-gatepost-firewall.conf", "The firewall is shut first", {"Unit": {"Wants": "gatepost-firewall-base.service"}}
    )
    for network in NETWORKS:
        need = {"Requires": "gatepost-firewall-base.service", "After": "gatepost-firewall-base.service"}
        yield Unit(f"{network}.d/50-gatepost.conf", "No network without a firewall", {"Unit": need})
    yield service(
        "gatepost-firewall",
        "Gatepost: load the confirmed rules, prove them, then forward",
        {"Type": "oneshot", "RemainAfterExit": "yes", "ExecStart": f"{PROGRAM} firewall boot --site {SITE} --state {state}"},
        {
            **NETWORK_ADMIN,
            "ReadWritePaths": state,
        },
        {
            "Requires": "gatepost-firewall-base.service",
            "After": "gatepost-firewall-base.service gatepost-recover.service network.target",
            "ConditionPathExists": f"{state}/confirmed.nft",
        },
    )
    yield _watch(state)
    yield from _target(site, alone=alone)


def _watch(state: str) -> Unit:
    """Who compares, and closes what expires, while the firewall runs."""
    return service(
        "gatepost-firewall-watch",
        "Gatepost: say when the loaded rules are no longer the declared ones",
        {"Type": "exec", "Restart": "always", "RestartSec": "5", "ExecStart": f"{PROGRAM} firewall watch --site {SITE} --state {state}"},
        {
            **NETWORK_ADMIN,
            "ReadWritePaths": f"-{state}",
        },
        {"After": "gatepost-firewall.service"},
    )


def _target(site: Site, *, alone: bool) -> Iterator[Unit]:
    ours = ["gatepost-firewall.service", "gatepost-firewall-watch.service"]
    if not alone:
        yield Unit("multi-user.target.d/51-gatepost-firewall.conf", "The firewall starts at boot", {"Unit": {"Wants": " ".join(ours)}})
        return
    wants = " ".join([*ours, *ALLOWED, *site.integrity.allowed.units])
    target = {
        "Description": "A firewall, and nothing else",
        "Requires": "basic.target",
        "After": "basic.target",
        "Wants": wants,
        "AllowIsolate": "yes",
    }
    yield Unit("gatepost-firewall.target", "What may run on this firewall; multi-user.target is not reached", {"Unit": target})
    boots = {
        "Description": "Boot into the firewall",
        "Requires": "gatepost-firewall.target",
        "After": "gatepost-firewall.target",
        "AllowIsolate": "yes",
    }
    yield Unit("default.target", "This host boots into the list of allowed units", {"Unit": boots})
