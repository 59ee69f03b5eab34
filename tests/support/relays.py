"""The MTAs that Gatepost generates, each as a private instance: the generated files as they are, and only folders of its own changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gatepost.relay.intent import intent
from gatepost.relay.postfix import postfix
from gatepost.relay.sendmail import sendmail
from gatepost.site.model import Site
from tests.support.ports import answers, wait_for
from tests.support.postfix import Postfix
from tests.support.sendmail import NAMED, PROGRAM, TREE, Sendmail


@dataclass
class GeneratedPostfix(Postfix):
    """The relay's Postfix of a site whose relay.listen is `port` of `host`."""

    site: Site | None = None
    host: str = "127.0.0.1"
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> GeneratedPostfix:
        if not Path("/usr/lib/postfix/sbin/master").exists():
            pytest.skip("needs Debian's package postfix")
        for name in ("etc", "queue", "data"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(self.home / "data", "postfix")
        for path, content in self.files().items():
            path.write_bytes(content)
        here = (f"queue_directory={self.home}/queue", f"data_directory={self.home}/data", f"maillog_file={self.home}/log")
        slow = (f"maillog_file_prefixes={self.home}", "queue_run_delay=1s", "minimal_backoff_time=1s", "maximal_backoff_time=2s")
        subprocess.run(["postconf", "-c", str(self.home / "etc"), "-e", *here, *slow], check=True)
        if self.environment:  # Postfix passes on what it is told to, and nothing else
            known = subprocess.run(["postconf", "-c", str(self.home / "etc"), "-h", "import_environment"], capture_output=True, check=True)
            names = f"import_environment={known.stdout.decode().strip()} {' '.join(self.environment)}"
            subprocess.run(["postconf", "-c", str(self.home / "etc"), "-e", names], check=True)
        subprocess.run(
            ["postfix", "-c", str(self.home / "etc"), "start"], check=True, capture_output=True, env=os.environ | self.environment
        )
        wait_for(self.ready, f"Postfix to listen: {self.log()}")
        return self

    def files(self) -> dict[Path, bytes]:
        """Its configuration."""
        assert self.site is not None
        return {one.path: one.content for one in postfix(intent(self.site), self.home / "etc")}

    def ready(self) -> bool:
        """Whether it takes mail."""
        return answers(self.port, self.host)


HERE = """define(`confPID_FILE', `{home}/pid')dnl
define(`QUEUE_DIR', `{home}/queue')dnl
define(`STATUS_FILE', `')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe,TrustStickyBit')dnl
"""


@dataclass
class GeneratedSendmail(Sendmail):
    """The relay's Sendmail of a site whose relay.listen is `port` of `host`."""

    site: Site | None = None
    host: str = "127.0.0.1"
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def _environment(self) -> dict[str, str]:
        return super()._environment | self.environment

    def start(self) -> GeneratedSendmail:
        if not PROGRAM.exists() or not shutil.which("m4"):
            pytest.skip("needs Sendmail's packages unpacked (scripts/sendmail-tree) and m4")
        (self.home / "queue").mkdir(parents=True, exist_ok=True)
        (self.home / "queue").chmod(0o700)
        (self.home / "traffic").touch()
        assert self.site is not None
        library = TREE / "usr/share/sendmail/cf"
        for one in sendmail(intent(self.site), self.home, library):
            one.path.write_bytes(one.content)
        source = (
            (self.home / "sendmail.mc").read_text().replace("OSTYPE(`linux')dnl\n", "OSTYPE(`linux')dnl\n" + HERE.format(home=self.home))
        )
        made = subprocess.run(["m4", f"-D_CF_DIR_={library}/"], input=source, capture_output=True, text=True, check=True)
        assert made.stderr == ""
        known = "".join(f"E{name}={value}\n" for name, value in self.environment.items())  # it forgets the environment it was started in
        (self.home / "sendmail.cf").write_text(known + made.stdout)
        self.run()
        return self

    def flush(self) -> None:
        """Run the queue once, now; the daemon does it every second, but not across a jump of the clock."""
        command = [*NAMED, str(PROGRAM), "-q", "-C", str(self.home / "sendmail.cf")]
        subprocess.run(command, env=self._environment, check=True, capture_output=True, timeout=60)


Relay = GeneratedPostfix | GeneratedSendmail

RELAY_SITE = """
[site]
name = "Relay"
[zones.internet]
external = true
[zones.internal]
prefixes = ["192.168.3.0/24", "127.0.3.0/24"]
[mail]
domains = ["widget.example"]
next_hop = "127.0.0.1:{sink}"
outbound = "127.0.0.1:{sink}"
relay_from = ["internal"]
[mail.milter]
listen = "{milter}"
[mail.recipients]
verify = "{verify}"
{recipients}
[relay]
listen = ["127.0.0.1:{port}"]
{extra}
"""
"""A site whose relay and internal server are on this machine."""
