"""A second opinion from nmap: what it sees from a vantage point, compared with what the policy allows there.

What it does: runs nmap's scans without asking for a ping first (-Pn; with it a hidden host is never scanned), reads its XML, and compares.
Not its job: making vantage points (`lab`).
Raises: `ScanError` when nmap is missing or gives no XML.
"""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SCANS = {"-sS": "tcp", "-sT": "tcp", "-sU": "udp", "-sN": "tcp", "-sF": "tcp", "-sX": "tcp", "-sA": "tcp"}
"""The scans, and the protocol each is about. Only -sS, -sT and -sU can see an open port; the others must see nothing at all."""
SECONDS = 300


class ScanError(Exception):
    """nmap could not be asked."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one scan of one target showed: ports that answered as open, and ports that answered at all (open, closed or unfiltered)."""

    scan: str
    target: str
    open: frozenset[int]
    answered: frozenset[int]


def command(scan: str, targets: Sequence[str], ports: Iterable[int]) -> list[str]:
    """The nmap command for one scan of some targets of one IP version."""
    family = ["-6"] if ":" in targets[0] else []
    quick = ["-T5", "--max-retries", "1", "--max-rtt-timeout", "100ms", "--host-timeout", "60s", "--min-rate", "300"]
    listed = ",".join(map(str, sorted(ports)))
    return ["nmap", *family, scan, "-Pn", "-n", "--disable-arp-ping", *quick, "-p", listed, "-oX", "-", *targets]


def start(inside: Sequence[str], words: Sequence[str]) -> subprocess.Popen[str]:
    """Begin a scan; `inside` is how to get to the vantage point."""
    return subprocess.Popen([*inside, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(running: subprocess.Popen[str], scan: str) -> list[Found]:
    """Wait for a scan and read it."""
    try:
        text, error = running.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        running.kill()
        raise ScanError(f"nmap {scan} did not end within {SECONDS} seconds") from None
    if running.returncode:
        raise ScanError(f"nmap {scan}: {error.strip()}")
    return read_xml(text, scan)


def read_xml(text: str, scan: str) -> list[Found]:
    """What nmap's XML says of each target."""
    try:
        root = ET.fromstring(text)  # noqa: S314 - our own nmap wrote it
    except ET.ParseError as error:
        raise ScanError(f"nmap {scan} gave no XML: {error}") from None
    found = []
    for host in root.iter("host"):
        address = next(node.get("addr", "") for node in host.iter("address") if node.get("addrtype", "").startswith("ipv"))
        states = {int(port.get("portid", "0")): state.get("state", "") for port in host.iter("port") for state in port.iter("state")}
        listening = frozenset(number for number, state in states.items() if state == "open")
        answered = frozenset(number for number, state in states.items() if state in {"open", "closed", "unfiltered"})
        found.append(Found(scan, address, listening, answered))
    return found


def disagreements(found: Iterable[Found], allowed: dict[tuple[str, str], set[int]]) -> list[str]:
    """Where nmap saw something else than the policy allows; `allowed` gives ports by target and protocol."""
    told = []
    for one in found:
        wanted = allowed.get((one.target, SCANS[one.scan]), set())
        if one.scan in {"-sS", "-sT", "-sU"}:
            told += [
                f"nmap {one.scan} sees port {number} of {one.target} open, which is not declared" for number in sorted(one.open - wanted)
            ]
            told += [
                f"nmap {one.scan} does not see port {number} of {one.target}, which is declared" for number in sorted(wanted - one.open)
            ]
        else:
            told += [f"nmap {one.scan} got an answer from port {number} of {one.target}" for number in sorted(one.answered - wanted)]
    return told
