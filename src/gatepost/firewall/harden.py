"""The kernel switches of a firewall host: each value with its reason, and what is set otherwise.

What it does: names the profile for `all`, `default` and each interface, so that an interface that appears later inherits it; compares it
with what was read back.
Not its job: reading or writing /proc (`switches`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switch:
    """One kernel switch. `each` is true where every interface has its own; `name` then stands for the last part."""

    name: str
    value: str
    reason: str
    each: bool = False


PROFILE = (
    Switch("net.ipv4.tcp_syncookies", "1", "Connections still open while somebody floods with SYN packets."),
    Switch(
        "net.ipv4.icmp_echo_ignore_broadcasts",
        "1",
        "The host does not answer a ping to everybody, so it cannot be used for a smurf attack.",
    ),
    Switch("net.ipv4.icmp_ignore_bogus_error_responses", "1", "Broken routers cannot fill the log."),
    Switch("net.ipv4.tcp_rfc1337", "1", "A late RST cannot end a connection that waits to be forgotten."),
    Switch("net.ipv4.tcp_timestamps", "1", "Timestamps start at a random value; 2 would tell the world how long the host is up."),
    Switch("net.netfilter.nf_conntrack_tcp_loose", "0", "A connection that the firewall never saw begin is not taken for known."),
    Switch("net.netfilter.nf_conntrack_helper", "0", "Helpers follow only the connections that a rule gives them."),
    Switch("net.ipv4.conf.rp_filter", "1", "A source that would not be answered on the same side is dropped, before any rule.", each=True),
    Switch("net.ipv4.conf.accept_source_route", "0", "The sender does not choose the way of the packet.", each=True),
    Switch("net.ipv4.conf.accept_redirects", "0", "Nobody tells the firewall another way by ICMP.", each=True),
    Switch("net.ipv4.conf.secure_redirects", "0", "Not even a gateway does.", each=True),
    Switch("net.ipv4.conf.send_redirects", "0", "The firewall sends nobody past itself.", each=True),
    Switch("net.ipv4.conf.log_martians", "1", "Impossible addresses are seen in the log.", each=True),
    Switch("net.ipv4.conf.proxy_arp", "0", "The firewall answers only for itself.", each=True),
    Switch("net.ipv4.conf.arp_ignore", "1", "An address is told only on the side that has it.", each=True),
    Switch("net.ipv4.conf.arp_announce", "2", "The address of one side is not told on another.", each=True),
    Switch("net.ipv6.conf.accept_redirects", "0", "Nobody tells the firewall another way by ICMPv6.", each=True),
    Switch("net.ipv6.conf.accept_source_route", "0", "The sender does not choose the way of the packet.", each=True),
    Switch("net.ipv6.conf.accept_ra", "0", "A router has fixed addresses and believes no other router.", each=True),
    Switch("net.ipv6.conf.autoconf", "0", "It gives itself no addresses that nobody declared.", each=True),
)
"""The profile. Forwarding is not in it: `apply` switches it on, and only after the proof."""

FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
OPTIONAL = frozenset({"net.netfilter.nf_conntrack_helper"})
"""Newer kernels no longer have it, because they behave so anyway."""

_KNOWN = {switch.name for switch in PROFILE if not switch.each} | set(FORWARDING)
_KNOWN_EACH = {switch.name.rpartition(".")[2] for switch in PROFILE if switch.each} | {
    "forwarding", "disable_ipv6", "bootp_relay", "shared_media", "mc_forwarding", "arp_filter", "hop_limit", "mtu", "promote_secondaries",
}  # fmt: skip
_OTHERS = [
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv4.ip_dynaddr",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_sack",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_ecn",
    "net.ipv4.ip_default_ttl",
    "net.ipv4.icmp_ratelimit",
    "net.ipv4.tcp_synack_retries",
    "net.ipv4.ip_no_pmtu_disc",
    "net.ipv4.icmp_ratemask",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv6.icmp.ratelimit",
    "net.netfilter.nf_conntrack_max",
    "net.core.rmem_max",
    "net.core.wmem_max",
    "net.core.somaxconn",
    "kernel.sysrq",
    "kernel.printk",
    "net.ipv4.ip_nonlocal_bind",
]


def is_switch(name: str) -> bool:
    """Whether the kernel has a switch of this name, as far as firewall scripts use them."""
    parts = name.split(".")
    if len(parts) == 5 and parts[:1] == ["net"] and parts[2] in {"conf", "neigh", "route"}:  # noqa: PLR2004 - net.ipv4.conf.eth0.rp_filter
        return parts[4] in _KNOWN_EACH or parts[2] != "conf"
    return name in _KNOWN or name in _OTHERS or (name.startswith("net.") and parts[1] not in {"ipv4", "ipv6"})


def wanted(interfaces: Iterable[str]) -> Iterator[tuple[str, Switch]]:
    """Every switch by its full name: for all, for default (which new interfaces inherit), and for each interface."""
    places = ["all", "default", *interfaces]
    for switch in PROFILE:
        if not switch.each:
            yield switch.name, switch
            continue
        head, _, last = switch.name.rpartition(".")
        yield from ((f"{head}.{place}.{last}", switch) for place in places)


def otherwise(found: Mapping[str, str | None], interfaces: Iterable[str]) -> Iterator[tuple[str, str | None, Switch]]:
    """What is set to something else than the profile says; None is a switch that the kernel does not have."""
    for name, switch in wanted(interfaces):
        value = found.get(name)
        if value != switch.value and not (value is None and switch.name in OPTIONAL):
            yield name, value, switch


def profile_text() -> str:
    """The profile as a file for /etc/sysctl.d, each value with its reason."""
    lines = ["# Gatepost: the kernel switches of a firewall host."]
    for name, switch in wanted(()):
        lines += ([f"# {switch.reason}"] if not switch.each or ".all." in name else []) + [f"{name} = {switch.value}"]
    return "\n".join(lines) + "\n"
