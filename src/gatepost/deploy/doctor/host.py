"""Checks of the machine itself: the jail's layers, memory, descriptors, clock, and whether the gateway lives.

Raises: `OSError` without /proc.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from gatepost.deploy.doctor.check import Machine, Seen, error, warning, well
from gatepost.signatures.store import Store
from gatepost.site.model import Site

WORKER = 150 * 1024**2
"""Bytes that a scan worker takes besides what it unpacks."""

DESCRIPTORS = 1024
"""Open files that the front needs for a busy hour: two a connection."""

AHEAD = 3600.0
"""Seconds by which signatures may be made in our future: their makers' clocks differ too."""

REMEDY = "set the clock by NTP: timedatectl set-ntp true"

BUILT = 1_767_225_600.0
"""1 January 2026: a clock before it is wrong."""


def gateway(_site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether the gateway runs, takes mail, and its last canary came back as it should."""
    if machine.gateway is None:
        yield error("the gateway does not run: no mail is taken", "start it: gatepost mail serve")
    elif machine.gateway.well:
        yield well(machine.gateway.sentence)
    else:
        yield error(machine.gateway.sentence, "look at its log, and at the other findings here")


def jail(_site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether the kernel has every layer of the scan workers' jail."""
    missing = machine.jail()
    for layer in missing:
        yield warning(f"the scan workers' jail lacks {layer}", "use Linux 6.1 or newer with Landlock, seccomp and user namespaces")
    if not missing:
        yield well("the kernel has every layer of the scan workers' jail")


def memory(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether all workers together fit into memory when each has its largest mail."""
    match = re.search(r"^MemTotal:\s+(\d+) kB", (machine.proc / "meminfo").read_text(), re.MULTILINE)
    total = int(match[1]) * 1024 if match else 0
    workers = site.mail.scan_workers(os.cpu_count() or 1)
    needed = workers * (WORKER + site.mail.limits.bytes)
    if needed > total:
        yield warning(
            f"{workers} scan workers may need {needed // 1024**2} MiB, and the machine has {total // 1024**2}",
            "lower mail.workers or mail.limits.bytes in the site file",
        )
    else:
        yield well(f"{workers} scan workers need at most {needed // 1024**2} of {total // 1024**2} MiB")


def descriptors(_site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether a process may open enough files."""
    limit = machine.limits.get("descriptors", DESCRIPTORS)
    if limit < DESCRIPTORS:
        yield warning(
            f"a process may open {limit} files only", f"raise it to {DESCRIPTORS} or more: ulimit -n, or LimitNOFILE= in the unit"
        )
    else:
        yield well(f"a process may open {limit} files")


def clock(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether the clock is right: receipts, expiry and certificates live by it."""
    now = machine.now()
    made = [one.made for name in site.signatures if (one := Store(Path(site.site.state) / "signatures" / name).current())]
    if now < BUILT:
        yield error("the clock says a year before 2026", REMEDY)
    elif made and max(made) > now + AHEAD:
        yield error(f"the clock is behind: signatures were made {(max(made) - now) / 3600:.0f} hours in its future", REMEDY)
    elif machine.synchronised() is False:
        yield warning("nobody keeps the clock right: the kernel knows of no time server", REMEDY)
    else:
        yield well("the clock is plausible")


def canary(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether canaries can show that mail is scanned, on each way in."""
    if not site.canary.enabled:
        yield warning("the canary is switched off: nobody notices when mail passes unscanned", "write enabled = true in [canary]")
    elif site.mail.milter.listen and not site.canary.through and not site.mail.smtp.listen:
        yield warning(
            "mail comes in by the milter only, and no canary goes through the MTA: a milter that is never called would not be noticed",
            'name the MTA in the site file: [canary] through = "127.0.0.1:25"',
        )
    else:
        yield well(
            "canaries go " + " and ".join(filter(None, (site.mail.smtp.listen, site.canary.through and f"through {site.canary.through}")))
        )
