"""A policy for a host whose administrator has no time to write one: made from what is installed and from the role of the host.

Only paths that exist become rules, so that nothing complains about files that never were there. What a healthy Debian host changes by
itself (caches, lists, states, logs) is left out or watched for its rights only.
Raises: nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gatepost.site.integrity import Rule

CRITICAL: Final = 100
HIGH: Final = 66
MEDIUM: Final = 33

_RULES: Final = (
    Rule(name="System programs", severity=CRITICAL, paths=("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
         skip=("/usr/share/man", "/usr/share/doc", "/usr/share/info", "/usr/src", "/usr/local/share/man")),
    Rule(name="Programs that decide who gets in", severity=CRITICAL, always=True, watch="ReadOnly",
         paths=("/usr/bin/su", "/usr/bin/sudo", "/usr/bin/passwd", "/usr/bin/login", "/usr/sbin/sshd", "/usr/lib/openssh", "/usr/bin/bash", "/usr/bin/dash",
                "/usr/lib/x86_64-linux-gnu/security", "/usr/lib/aarch64-linux-gnu/security", "/usr/lib/systemd/system", "/usr/lib/systemd/systemd")),
    Rule(name="Boot", severity=CRITICAL, paths=("/boot",), watch="ReadOnly", always=True),
    Rule(name="Configuration", severity=HIGH, paths=("/etc",), watch="ReadOnly"),
    Rule(name="Accounts and access", severity=CRITICAL, always=True,
         paths=("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d", "/etc/pam.d", "/etc/security", "/etc/ssh",
                "/etc/cron.d", "/etc/crontab", "/etc/systemd/system", "/etc/gatepost")),
    Rule(name="Files that the system rewrites", severity=MEDIUM, watch="Dynamic",
         paths=("/etc/mtab", "/etc/resolv.conf", "/etc/adjtime", "/etc/.updated", "/etc/network/run", "/etc/lvm/cache", "/etc/lvm/archive", "/etc/lvm/backup",
                "/etc/cups/subscriptions.conf", "/etc/motd", "/etc/machine-id")),
    Rule(name="Home of root", severity=CRITICAL, paths=("/root",), watch="ReadOnly-ctime-mtime-inode",
         skip=("/root/.cache", "/root/.local/share", "/root/.bash_history", "/root/.lesshst", "/root/.viminfo", "/root/.python_history", "/root/.wget-hsts",
               "/root/.config/pulse", "/root/.npm", "/root/.gnupg/random_seed")),
    Rule(name="Jobs of users", severity=CRITICAL, paths=("/var/spool/cron", "/var/spool/at"), watch="Config-links", skip=("/var/spool/at/.SEQ",)),
    Rule(name="Keys of users", severity=CRITICAL, paths=("/home",), watch="Config", pattern=r"^/home/[^/]+/\.(ssh(/.*)?|profile|bashrc|bash_profile|bash_login|bash_logout)$"),
    Rule(name="Local software", severity=HIGH, paths=("/opt", "/srv"), watch="ReadOnly", recurse=-1),
    Rule(name="Package database", severity=HIGH, paths=("/var/lib/dpkg/info", "/var/lib/dpkg/diversions", "/var/lib/dpkg/statoverride", "/var/lib/dpkg/alternatives"),
         watch="Config"),
    Rule(name="Logs", severity=MEDIUM, paths=("/var/log",), watch="Growing+may-appear",
         skip=("/var/log/journal", "/var/log/sysstat", "/var/log/installer")),
    Rule(name="Logs that were rotated", severity=MEDIUM, paths=("/var/log",), watch="Dynamic+may-appear+may-vanish",
         pattern=r"(\.[0-9]+|-[0-9]{8}([-_.][0-9]+)?|\.old)(\.(gz|xz|bz2|zst))?$"),
    Rule(name="Records of logins", severity=MEDIUM, paths=("/var/log/lastlog", "/var/log/wtmp", "/var/log/btmp", "/var/log/faillog"), watch="Dynamic"),
)  # fmt: skip

_BY_ROLE: Final = {
    "firewall": (
        Rule(name="Firewall", severity=CRITICAL, always=True,
             paths=("/etc/nftables.conf", "/etc/nftables.d", "/etc/iptables", "/etc/network", "/etc/sysctl.conf", "/etc/sysctl.d", "/etc/modprobe.d", "/usr/sbin/nft")),
    ),
    "relay": (
        Rule(name="Mail relay", severity=CRITICAL, always=True,
             paths=("/etc/postfix", "/etc/mail", "/etc/aliases", "/etc/clamav", "/etc/rspamd", "/etc/spamassassin", "/usr/lib/postfix", "/usr/sbin/sendmail")),
        Rule(name="Mail relay state", severity=MEDIUM, watch="Dynamic", paths=("/etc/postfix/prng_exch", "/etc/aliases.db")),
    ),
    "mail-server": (
        Rule(name="Mail server", severity=CRITICAL, always=True, paths=("/etc/postfix", "/etc/dovecot", "/etc/exim4", "/etc/mail", "/etc/aliases")),
    ),
}  # fmt: skip


def default_rules(root: Path, role: str) -> tuple[Rule, ...]:
    """The rules for the tree at `root`, reduced to paths that are there."""
    found = (_reduced(rule, root) for rule in (*_RULES, *_BY_ROLE.get(role, ())))
    return tuple(rule for rule in found if rule is not None)


def _reduced(rule: Rule, root: Path) -> Rule | None:
    paths = tuple(path for path in rule.paths if os.path.lexists(f"{root}{path}"))
    return rule.model_copy(update={"paths": paths}) if paths else None
