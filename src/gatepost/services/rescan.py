"""A scan worker beside the gateway's own: for mail that is not under way, like copies of what was delivered long ago.

What it does: forks a worker, which goes to the same jail as every other, and asks it about one mail after the other.
Not its job: what the verdict means.
Raises: `RescanError` for a mail over which the worker died; the next mail gets a fresh one.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from pathlib import Path

import msgspec

from gatepost.mail.model import Direction, Envelope, Verdict
from gatepost.mail.receive.spool import Spool
from gatepost.services import confine
from gatepost.services.scanners import Job, decode_verdict, encode_job
from gatepost.site.model import Site
from gatepost.system.channel import Channel, ChannelError

log = logging.getLogger(__name__)

NICE = 10
"""Mail under way goes before mail of yesterday."""


class RescanError(Exception):
    """The worker did not come back from this mail."""


class Rescanner:
    """Scans mails one by one in a process of its own; close it at the end."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._channel: Channel | None = None
        self._scratch = Path()
        self._pid = 0

    def examine(self, raw: bytes, envelope: Envelope, directions: frozenset[Direction]) -> Verdict:
        """Have one mail looked at by every engine of the site. Raises RescanError."""
        with Spool() as spool:
            spool.write(raw)
            try:
                channel = self._channel or self._start()
                channel.send(encode_job(Job(envelope, spool.size, directions)), spool.fd)
                frame = channel.receive()
                verdict = decode_verdict(frame[0]) if frame else None
            except (OSError, ChannelError, msgspec.MsgspecError) as error:
                self.close()
                raise RescanError(f"the scan worker failed: {error}") from None
        if verdict is None:
            self.close()
            raise RescanError("the scan worker ended over this mail")
        return verdict

    def _start(self) -> Channel:
        self._scratch = Path(tempfile.mkdtemp(prefix="gatepost-again-"))
        ours, theirs = socket.socketpair()
        self._pid = os.fork()
        if not self._pid:
            ours.close()
            self._be(theirs)
        theirs.close()
        self._channel = Channel(ours)
        return self._channel

    def _be(self, sock: socket.socket) -> None:
        code = 1
        try:
            os.nice(NICE)
            confine.work(self._site, Channel(sock), self._scratch)
            code = 0
        except Exception:
            log.exception("a scan worker cannot start")
        finally:
            os._exit(code)

    def close(self) -> None:
        """Let the worker end, and clear away after it."""
        if self._channel is None:
            return
        self._channel.close()
        os.waitpid(self._pid, 0)
        self._channel = None
        shutil.rmtree(self._scratch, ignore_errors=True)
