"""The table of command-line scanners: how each is called and what its exit status and output mean. Data only.

`{path}` in a command is the directory to scan. A status in neither list is a failure, never "clean". Where a scanner's
status does not tell (Defender), its output must.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """One scanner. `name` finds what was found, in its first group that matched; `clean_text` must be in the output of a clean scan."""

    command: tuple[str, ...]
    clean: frozenset[int]
    infected: frozenset[int]
    name: re.Pattern[str]
    version: tuple[str, ...] = ()
    clean_text: re.Pattern[str] | None = None
    infected_text: re.Pattern[str] | None = None


def _codes(*codes: int) -> frozenset[int]:
    return frozenset(codes)


PRESETS: dict[str, Preset] = {
    "uvscan": Preset(
        ("uvscan", "--secure", "-r", "-v", "--mime", "--summary", "--noboot", "{path}"),
        clean=_codes(0),
        infected=_codes(13, 19),
        name=re.compile(r"Found(?: the (.+?) (?:virus|trojan)| (?:virus|trojan) or variant (\S+)|: (.+?) NOT a virus|: (.+))"),
        version=("uvscan", "--version"),
    ),
    "eset": Preset(
        ("/opt/eset/efs/bin/odscan", "--scan", "--readonly", "--show-scan-info", "{path}"),
        clean=_codes(0),
        infected=_codes(1, 50),
        name=re.compile(r'threat="([^"]+)"'),
        version=("/opt/eset/efs/bin/odscan", "--version"),
    ),
    "sophos": Preset(
        ("savscan", "-nb", "-f", "-all", "-rec", "-ss", "-sc", "-archive", "-cab", "-mime", "-oe", "-tnef", "{path}"),
        clean=_codes(0),
        infected=_codes(3),
        name=re.compile(r">>> Virus(?: fragment)? '([^']+)' found"),
        version=("savscan", "--version"),
    ),
    "fsecure": Preset(
        ("fsav", "--virus-action1=report", "--suspected-action1=report", "--archive=on", "--auto", "{path}"),
        clean=_codes(0),
        infected=_codes(3, 4, 6, 8),
        name=re.compile(r"(?:[Ii]nfect(?:ion|ed)|[Rr]iskware|[Ss]uspected|[Ss]uspicion): (\S+)"),
        version=("fsav", "--version"),
    ),
    "kaspersky": Preset(
        ("kavscanner", "-i1", "-xp", "{path}"),
        clean=_codes(0),
        infected=_codes(5, 20, 21, 25),
        name=re.compile(r"(?:CURED|INFECTED|CUREFAILED|WARNING|SUSPICION) (\S+)"),
        version=("kavscanner", "-v"),
    ),
    "bitdefender": Preset(
        ("bdscan", "--action=ignore", "--no-list", "{path}"),
        clean=_codes(0),
        infected=_codes(1),
        name=re.compile(r"(?:suspected|infected)\s*:\s*([^\x1b\n]+)"),
        version=("bdscan", "--version"),
        clean_text=re.compile(r"Infected files *: *0+(?!\d)"),
    ),
    "mdatp": Preset(
        ("mdatp", "scan", "custom", "--ignore-exclusions", "--path", "{path}"),
        clean=_codes(0),
        infected=_codes(),
        name=re.compile(r"(?:Name|threat name): *\"?([^\"\n]+)"),
        version=("mdatp", "version"),
        clean_text=re.compile(r"(?<!\d)0 threat\(s\) detected"),
        infected_text=re.compile(r"(?<!\d)[1-9]\d* threat\(s\) detected"),
    ),
    "clamscan": Preset(
        ("clamscan", "--no-summary", "--infected", "--recursive", "--stdout", "{path}"),
        clean=_codes(0),
        infected=_codes(1),
        name=re.compile(r": (\S+) FOUND$", re.MULTILINE),
        version=("clamscan", "--version"),
    ),
}
