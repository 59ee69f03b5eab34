"""What ClamAV's signature names mean: virus, encrypted, over a limit, or only suspect.

Shared by everything that speaks to ClamAV: its daemon, its library, its command line.
Raises: nothing.
"""

from __future__ import annotations

from gatepost.mail.model import Finding, Kind

# By prefix, first hit counts. ClamAV documents these names in clamd.conf(5): AlertExceedsMax, AlertEncrypted,
# AlertOLE2Macros, AlertPhishing*, AlertBrokenExecutables and DetectPUA. Everything else is a virus.
_PREFIXES = (
    ("Heuristics.Limits.Exceeded", Kind.UNCHECKED),
    ("Heuristics.Encrypted", Kind.ENCRYPTED),
    ("Heuristics.OLE2.ContainsMacros", Kind.SUSPECT),
    ("Heuristics.Phishing", Kind.SUSPECT),
    ("Heuristics.Broken", Kind.SUSPECT),
    ("PUA.", Kind.SUSPECT),
)


def finding(signature: str, part: str, source: str) -> Finding:
    """Make the finding for a `signature` that ClamAV named; "a(b:1)" of ExtendedDetectionInfo becomes "a"."""
    name = signature.partition("(")[0] or signature
    kind = next((kind for prefix, kind in _PREFIXES if name.startswith(prefix)), Kind.VIRUS)
    detail = "ClamAV stopped at one of its limits and has not seen everything" if kind is Kind.UNCHECKED else ""
    return Finding(kind, name, part, source, detail)
