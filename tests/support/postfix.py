"""A private Postfix: own configuration, queue and port, everything it relays goes to one next hop."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.ports import answers, free_port, wait_for

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/log
maillog_file_prefixes = {home}
myhostname = relay.widget.example
mydestination =
mynetworks = {mynetworks}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relay_domains = widget.example
relayhost = [127.0.0.1]:{next_hop}
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtp_dns_support_level = disabled
smtp_host_lookup = native
local_transport = error:no local mail
alias_maps =
message_size_limit = 104857600
smtp_line_length_limit = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
bounce_queue_lifetime = 1h
smtpd_milters = {milters}
milter_default_action = tempfail
milter_command_timeout = 20s
milter_content_timeout = 60s
{extra}
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
{extra}
"""


@dataclass
class Postfix:
    """Runs until `stop`. `milters` in Postfix's syntax; `next_hop` a port of 127.0.0.1."""

    home: Path
    next_hop: int
    milters: str = ""
    extra: str = ""
    master_extra: str = ""
    mynetworks: str = "127.0.0.0/8"
    port: int = field(default_factory=free_port)

    def start(self) -> Postfix:
        if os.geteuid():
            pytest.skip("needs root: a private Postfix changes users")
        if not Path("/usr/lib/postfix/sbin/master").exists():
            pytest.skip("needs Debian's package postfix")
        for name in ("etc", "queue", "data"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(self.home / "data", "postfix")
        values = {"home": self.home, "next_hop": self.next_hop, "milters": self.milters, "mynetworks": self.mynetworks}
        (self.home / "etc/main.cf").write_text(MAIN.format(**values, extra=self.extra))
        (self.home / "etc/master.cf").write_text(MASTER.format(port=self.port, extra=self.master_extra))
        self.command("postfix", "start")
        wait_for(lambda: answers(self.port), "Postfix to listen")
        return self

    def command(self, program: str, *arguments: str) -> str:
        """Run one of Postfix's programs on this instance."""
        result = subprocess.run(
            [program, "-c", str(self.home / "etc"), *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert result.returncode == 0, f"{program} {arguments}: {result.stderr}\n{self.log()}"
        return result.stdout

    def queued(self) -> int:
        """How many mails wait in the queue."""
        return sum(1 for name in ("incoming", "active", "deferred") for path in (self.home / "queue" / name).rglob("*") if path.is_file())

    def flush(self) -> None:
        """Try everything in the queue again, now."""
        self.command("postqueue", "-f")

    def log(self) -> str:
        path = self.home / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else "(no log)"

    def stop(self) -> None:
        subprocess.run(["postfix", "-c", str(self.home / "etc"), "stop"], capture_output=True, check=False, timeout=60)
