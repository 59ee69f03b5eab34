"""The life of a scan worker: to jail first, then make the engines, then work.

What it does: says what a worker of a site may still read and write, and puts the calling process there.
Not its job: the jail's layers (`gatepost.system.jail`), the work itself (`scand`).
Raises: `EngineError` when an engine cannot be made inside; `OSError` when the front cannot be reached.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import gatepost
from gatepost.services import scand, wiring
from gatepost.services.stopwatch import Stopwatch
from gatepost.site.model import Site
from gatepost.system.channel import Channel
from gatepost.system.files import make_directory
from gatepost.system.jail import Jail, enter

log = logging.getLogger(__name__)

SLACK = 5.0
"""Seconds that a worker may take over a mail's wall time before it is killed."""

READABLE = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/proc/self", "/proc/meminfo")
"""What a scan worker may read and run besides Python itself: system libraries and unpacking programs."""


def worker(site: Site, path: Path, scratch: Path, watch: Stopwatch | None = None) -> None:
    """Connect to the front at socket `path`, go to jail with nothing but `scratch` to write in, and scan until the front hangs up."""
    work(site, scand.connect(path), scratch, watch)


def work(site: Site, channel: Channel, scratch: Path, watch: Stopwatch | None = None) -> None:
    """Go to jail, and scan for whoever is at the other end of `channel` until it hangs up."""
    make_directory(scratch)
    os.environ["TMPDIR"] = str(scratch)
    python = (Path(sys.prefix), Path(sys.base_prefix), Path(gatepost.__file__).parent)
    readable = (*map(Path, READABLE), *python, *wiring.readable(site))
    for layer in enter(Jail(readable, (scratch,), network=wiring.needs_network(site), in_memory=True)):
        log.warning("the scan workers' jail lacks %s", layer)
    scand.work(channel, wiring.examination(site), site.mail.limits.wall + SLACK, watch, wiring.limits(site))
