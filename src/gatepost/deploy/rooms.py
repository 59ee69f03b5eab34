"""The rooms that want files on a machine: all of them together are what a site compiles to for one role.

Not its job: what the files say (each room), writing them (`transaction`).
Raises: what the rooms raise: `RelayError`, `DeclarationError`, `HostError`.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from gatepost.deploy.units.compile import FIREWALL_ROLES, MAIL_ROLES, compile_units
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import Policy, declare
from gatepost.firewall.harden import profile_text
from gatepost.relay.compile import Role, compile_relay
from gatepost.site.aliases import read_aliases
from gatepost.site.model import Site
from gatepost.system.artifact import STAGED, Activation, Artifact

Room = Callable[[Site, Role], tuple[Artifact, ...]]

SYSCTL = Path("/etc/sysctl.d/60-gatepost.conf")
RULES = "confirmed.nft"
SSHD = Path("/etc/ssh/sshd_config.d/50-gatepost.conf")
SSHD_TEXT = """# Gatepost: administrators come with a key, never with a password.
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitEmptyPasswords no
X11Forwarding no
MaxAuthTries 3
"""


def relay(site: Site, role: Role) -> tuple[Artifact, ...]:
    """The MTA's files, with the recipients of the aliases file."""
    path = site.mail.recipients.aliases
    return compile_relay(site, role, aliases=frozenset(read_aliases(path)) if path else frozenset())


def policy_of(site: Site) -> Policy:
    """The network policy of the site as it is in force today."""
    return declare(site, dt.datetime.now(tz=dt.UTC).date())


def firewall(site: Site, role: Role) -> tuple[Artifact, ...]:
    """The rules that this host loads, at once and at each boot, and the kernel switches that go with them."""
    if role not in FIREWALL_ROLES:
        return ()
    rules = Path(site.site.state) / "firewall" / RULES
    text = reload_text(compile_policy(policy_of(site)), ())
    return (
        Artifact(SYSCTL, profile_text().encode()),
        Artifact(rules, text.encode(), mode=0o600, activation=_loading(rules)),
    )


def _loading(rules: Path) -> Activation:
    return Activation(
        "firewall",
        checks=(("/usr/sbin/nft", "-c", "-f", f"{STAGED}{rules}"),),
        commands=((sys.executable, "-m", "gatepost.firewall.settle", str(rules)),),
        interrupts="connections that the new rules forbid; all others go on",
    )


def access(_site: Site, role: Role) -> tuple[Artifact, ...]:
    """How administrators come in by ssh, where an sshd takes drop-ins."""
    if role not in FIREWALL_ROLES | MAIL_ROLES:
        return ()
    # sshd looks at its whole configuration, so the file can be checked only in place; a mistake in it is put back.
    reload = (
        "/bin/sh",
        "-c",
        "test ! -x /usr/sbin/sshd || { mkdir -p /run/sshd && /usr/sbin/sshd -t && { test ! -d /run/systemd/system || systemctl try-reload-or-restart ssh; }; }",
    )
    return (
        Artifact(SSHD, SSHD_TEXT.encode(), activation=Activation("ssh", commands=(reload,), interrupts="nothing: open sessions go on")),
    )


ROOMS: Mapping[str, Room] = {"units": compile_units, "firewall": firewall, "access": access, "relay": relay}


def artifacts(site: Site, role: Role) -> tuple[Artifact, ...]:
    """Every file of every room, in the order in which they are written."""
    return tuple(one for room in ROOMS.values() for one in room(site, role))
