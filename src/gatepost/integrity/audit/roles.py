"""What each role of a host needs, and so what it does not: a firewall does nothing but firewalling.

Raises: nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

ALWAYS: Final = (
    r"(linux-image|linux-headers|firmware|grub|shim|intel-microcode|amd64-microcode|initramfs-tools|systemd|libpam|libnss|task-|tasksel|language-pack)",
    r"(openssh-(server|client|sftp-server)|sudo|cron|cron-daemon-common|logrotate|rsyslog|chrony|ntpsec|unattended-upgrades|needrestart|apt-listchanges)$",
    r"(gatepost|aide.*|tripwire|debsecan|debian-archive-keyring|ca-certificates|locales|console-setup|keyboard-configuration|vim.*|nano|less|man-db|bash-completion)$",
    r"(adduser|apt-transport-https|acl|attr|e2fsprogs|lvm2|mdadm|cryptsetup.*|dbus.*|ifupdown|isc-dhcp-client|iproute2|ethtool|tcpdump|curl|wget|gnupg.*|python3.*|git)$",
)


@dataclass(frozen=True, slots=True)
class Role:
    """What a role may have: packages (patterns over names, besides `ALWAYS`) and listening ports ("25/tcp") that others can reach."""

    name: str
    packages: tuple[str, ...]
    ports: frozenset[str]

    def needs(self, package: str) -> bool:
        """Whether the role may have `package`."""
        return any(re.match(pattern, package) for pattern in (*ALWAYS, *self.packages))


_MAIL: Final = frozenset({"25/tcp", "465/tcp", "587/tcp"})

ROLES: Final = {
    role.name: role
    for role in (
        Role("firewall", (r"(nftables|iptables|conntrack|ulogd2|keepalived|wireguard.*)$",), frozenset({"22/tcp"})),
        Role("relay", (r"(postfix|sendmail|clamav|rspamd|spamassassin|spamd|redis|unbound|opendkim|bind9-dnsutils|p7zip|unzip|libyara)",), _MAIL | {"22/tcp"}),
        Role("mail-server", (r"(postfix|exim4|dovecot|clamav|rspamd|redis|unbound|bind9)",), _MAIL | {"22/tcp", "110/tcp", "143/tcp", "993/tcp", "995/tcp", "4190/tcp", "53/udp", "53/tcp"}),
        Role("server", (r".*",), frozenset({"22/tcp", "80/tcp", "443/tcp"})),
    )
}  # fmt: skip

UNWANTED: Final = {
    r"(telnetd|inetutils-telnetd|rsh-server|rsh-redone-server|talkd|fingerd|tftpd.*|atftpd)$": "it speaks without encryption, and nobody needs it any more",
    r"(rpcbind|nfs-kernel-server|nis|ypserv)$": "it lets other hosts ask for files and accounts",
    r"(xserver-xorg|xorg|gdm3|lightdm|xrdp|tigervnc.*|cups|avahi-daemon)$": "a server has no screen, no printers and nobody to announce itself to",
    r"(hydra|john|nmap|netcat-.*|socat|aircrack-ng|metasploit.*|medusa|proxychains.*)$": "it helps whoever has broken in",
}
"""Packages that no server of ours should have, with the reason."""
