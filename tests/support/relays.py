"""The MTAs that Gatepost generates, each as a private instance: the generated files as they are, and only folders of its own changed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatepost.relay.intent import intent
from gatepost.relay.postfix import postfix
from gatepost.site.model import Site
from tests.support.ports import answers, wait_for
from tests.support.postfix import Postfix


@dataclass
class GeneratedPostfix(Postfix):
    """The relay's Postfix of a site whose relay.listen is `port` of 127.0.0.1."""

    site: Site | None = None
    settings: tuple[str, ...] = ()

    def start(self) -> GeneratedPostfix:
        if not Path("/usr/lib/postfix/sbin/master").exists():
            pytest.skip("needs Debian's package postfix")
        for name in ("etc", "queue", "data"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(self.home / "data", "postfix")
        assert self.site is not None
        for one in postfix(intent(self.site), self.home / "etc"):
            one.path.write_bytes(one.content)
        here = (f"queue_directory={self.home}/queue", f"data_directory={self.home}/data", f"maillog_file={self.home}/log")
        slow = (f"maillog_file_prefixes={self.home}", "queue_run_delay=1s", "minimal_backoff_time=1s", "maximal_backoff_time=2s")
        subprocess.run(["postconf", "-c", str(self.home / "etc"), "-e", *here, *slow, *self.settings], check=True)
        self.command("postfix", "start")
        wait_for(lambda: answers(self.port), f"Postfix to listen: {self.log()}")
        return self
