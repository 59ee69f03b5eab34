"""Work that is done every so often, and once after boot: integrity check, signatures, doctor, digest, and putting back what was interrupted.

Not its job: the work itself (the rooms), services that stay (`services`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.deploy.units.people import COMMON
from gatepost.deploy.units.services import INTERNET, PEERS, PROGRAM, SITE
from gatepost.deploy.units.unit import Section, Unit, service
from gatepost.site.model import Site

ONCE: Section = {"Type": "oneshot"}
READS_ALL: Section = {"CapabilityBoundingSet": "CAP_DAC_READ_SEARCH", **PEERS}
"""Root that can read every file, and do nothing else that root can: the capabilities are gone."""


def recovery(site: Site) -> Iterator[Unit]:
    """Puts back, before anything else of ours starts, a change that a power cut interrupted or that nobody had confirmed."""
    yield service(
        "gatepost-recover",
        "Gatepost: put back a change that was interrupted",
        {**ONCE, "ExecStart": f"{PROGRAM} rollback --boot --site {SITE}", "RemainAfterExit": "yes"},
        {
            **PEERS,
            "CapabilityBoundingSet": "CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE CAP_FSETID",
            "SystemCallFilter": ("@system-service", "~@resources @obsolete"),
            "ProtectSystem": "no",
            "ReadWritePaths": (),
            "UMask": "0022",
        },
        {
            "DefaultDependencies": "no",
            "After": "local-fs.target systemd-tmpfiles-setup.service",
            "Before": "network-pre.target gatepost-firewall-base.service gatepost.target postfix.service",
            "ConditionPathExists": f"{site.site.state}/deploy/state.json",
        },
    )
    yield Unit(
        "sysinit.target.d/50-gatepost.conf", "Gatepost looks after its changes at boot", {"Unit": {"Wants": "gatepost-recover.service"}}
    )


def integrity(site: Site) -> Iterator[Unit]:
    """The daily check; what it finds is mailed, and so is that it found nothing."""
    yield service(
        "gatepost-integrity",
        "Gatepost: what changed that nobody meant to change",
        {
            **ONCE,
            "ExecStart": f"{PROGRAM} integrity check {'--mail' if site.integrity.mail else ''}".rstrip(),
            "SuccessExitStatus": "1",
            "Nice": "10",
        },
        {
            **READS_ALL,
            **INTERNET,
            "IPAddressAllow": "localhost",
            "ProtectHome": "read-only",
            "ReadWritePaths": f"{site.site.state}/integrity {site.integrity.canary.rpartition('/')[0]}",
            "PrivateDevices": "no",
        },
        {"ConditionPathExists": f"{site.site.state}/integrity"},
    )
    yield timer("gatepost-integrity", "daily", delay="1h")


def signatures(site: Site) -> Iterator[Unit]:
    """Fetches and tries signatures every hour; whoever uses them takes a new set over when its folder changes."""
    if not site.signatures:
        return
    yield service(
        "gatepost-signatures",
        "Gatepost: fetch and try signatures",
        {
            **ONCE,
            "ExecStart": f"{PROGRAM} signatures update --site {SITE}",
            "User": "gatepost-signatures",
            "Group": "gatepost-signatures",
            "SupplementaryGroups": COMMON,
            "SuccessExitStatus": "1",
        },
        {
            **INTERNET,
            "IPAddressDeny": (),
            "ReadWritePaths": f"{site.site.state}/signatures",
            "MemoryDenyWriteExecute": "no",
            "UMask": "0022",
        },
        {"After": "gatepost-keeper.service network-online.target", "Wants": "network-online.target"},
    )
    yield timer("gatepost-signatures", "hourly", delay="10min")
    changed = tuple(f"{site.site.state}/signatures/{name}" for name in site.signatures)
    note = "Gatepost: a set of signatures changed"
    yield Unit("gatepost-fresh.path", note, {"Unit": {"Description": note}, "Path": {"PathChanged": changed, "TriggerLimitBurst": "10"}})
    yield service(
        "gatepost-fresh",
        "Gatepost: fresh scan workers for fresh signatures",
        {**ONCE, "ExecStart": "/bin/systemctl try-reload-or-restart gatepost-scan.service"},
        {**PEERS},
    )


def doctor(site: Site) -> Iterator[Unit]:
    """The doctor, after boot and every hour; what it sees is in the log, and a unit that failed is what it calls an error."""
    yield service(
        "gatepost-doctor",
        "Gatepost: what is wrong with this installation",
        {
            **ONCE,
            "ExecStart": f"{PROGRAM} selftest --site {SITE}",
            "SuccessExitStatus": "1",
            "User": "gatepost-keeper",
            "Group": COMMON,
            "SupplementaryGroups": "gatepost-keeper",
        },
        {
            **INTERNET,
            **PEERS,
            "IPAddressDeny": (),
            "ReadWritePaths": site.site.state,
            "MemoryDenyWriteExecute": "no",
            # It tries the jail of the scan workers, reads the machine's memory, and asks Postfix.
            "RestrictNamespaces": "user net ipc",
            "ProcSubset": "all",
        },
        {"After": "gatepost.target"},
    )
    yield timer("gatepost-doctor", "hourly", delay="5min", boot="3min")


def retro(site: Site) -> Iterator[Unit]:
    """Judges copies of delivered mail again when engines know more, as the only user who may read them."""
    if site.retro.copies == "none":
        return
    yield service(
        "gatepost-retro",
        "Gatepost: judge copies of delivered mail again",
        {
            **ONCE,
            "ExecStart": f"{PROGRAM} signatures retro --site {SITE}",
            "SuccessExitStatus": "1",
            "User": "gatepost-keeper",
            "Group": COMMON,
            "SupplementaryGroups": "gatepost-keeper",
        },
        # It starts a scan worker, which makes its jail itself.
        {
            **PEERS,
            "ReadWritePaths": site.site.state,
            "MemoryDenyWriteExecute": "no",
            "RestrictNamespaces": "user net ipc",
            "ProcSubset": "all",
        },
        {"After": "gatepost-keeper.service"},
    )
    yield timer("gatepost-retro", "hourly", delay="20min")


def digest(site: Site) -> Iterator[Unit]:
    """Mails each recipient once a day what is held for them; needs a console to release it in, which does it itself where it is told how often."""
    if not site.console.listen or site.console.digest:
        return
    yield service(
        "gatepost-digest",
        "Gatepost: tell each recipient what is held",
        {
            **ONCE,
            "ExecStart": f"{PROGRAM} console digest --site {SITE}",
            "User": "gatepost-console",
            "Group": "gatepost-console",
            "SupplementaryGroups": COMMON,
        },
        {"ReadWritePaths": f"{site.site.state}/console"},
        {"After": "gatepost-keeper.service"},
    )
    yield timer("gatepost-digest", "*-*-* 07:00", delay="5min")


def timer(name: str, when: str, delay: str, boot: str = "") -> Unit:
    """Runs the service of that name; what was missed while the machine was off is done after boot."""
    settings = {"OnCalendar": when, "RandomizedDelaySec": delay, "Persistent": "true"} | ({"OnBootSec": boot} if boot else {})
    note = f"Gatepost: when {name} runs"
    return Unit(f"{name}.timer", note, {"Unit": {"Description": note}, "Timer": settings})


def enabled(names: list[str]) -> Unit:
    """What makes timers and paths start at boot."""
    return Unit("timers.target.d/50-gatepost.conf", "Timed work of Gatepost", {"Unit": {"Wants": " ".join(names)}})
