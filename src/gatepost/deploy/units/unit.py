"""Units of systemd as values, and the confinement that every service of ours begins with.

What it does: renders a unit; `SHUT` takes away all that a process can do without, and each service opens again what it needs, by name.
Not its job: which services there are (`services`).
Raises: nothing.

Sources: systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.resource-control(5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Values = str | tuple[str, ...]
Section = Mapping[str, Values]
"""Settings of a section; several values are several lines, no value takes the setting out."""

SHUT: Section = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "ProtectProc": "invisible",
    "ProcSubset": "pid",
    "PrivateTmp": "yes",
    "PrivateMounts": "yes",
    "PrivateDevices": "yes",
    "PrivateNetwork": "yes",
    "PrivateIPC": "yes",
    "PrivateUsers": "yes",
    "DevicePolicy": "closed",
    "RestrictAddressFamilies": "AF_UNIX",
    "IPAddressDeny": "any",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RemoveIPC": "yes",
    "KeyringMode": "private",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": (
        "@system-service landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp",
        "~@privileged @resources @obsolete",
    ),
    "SystemCallErrorNumber": "EPERM",
    "UMask": "0077",
}
"""A process without network, devices, capabilities, other processes, or anything to write."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit file: its name and its sections in order. `note` is a comment at the top."""

    name: str
    note: str
    sections: Mapping[str, Section] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The file."""
        lines = [f"# {self.note}", "# Written by gatepost apply from the site file; a change by hand is a conflict at the next apply."]
        for name, section in self.sections.items():
            lines += ["", f"[{name}]", *(f"{key}={value}" for key, values in section.items() for value in _several(values))]
        return "\n".join(lines) + "\n"


def _several(values: Values) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else values


def service(name: str, note: str, does: Section, opens: Section, unit: Section | None = None) -> Unit:
    """A service that may do nothing but what `opens` gives back to it; an empty tuple there takes a setting out."""
    return Unit(f"{name}.service", note, {"Unit": {"Description": note, **(unit or {})}, "Service": {**does, **SHUT, **opens}})
