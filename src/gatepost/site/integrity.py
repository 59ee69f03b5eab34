"""What of the file system is watched, and how; compiled and checked by `gatepost.integrity`."""

from __future__ import annotations

from gatepost.site.base import Section


class Integrity(Section):
    """The integrity section of the site file."""
