"""A made-up server of the tried site: a few files, their signed baseline, and changes of which nobody told; and a filled-in interview.

What it does: has the real integrity check run over the made-up files, so that the console has real reports to show.
Not its job: real hosts; everything lies in the folder of the tried site.
Raises: `CheckError`, `FormError`, `AnswerError`, `OSError`.
"""

from __future__ import annotations

from pathlib import Path

from gatepost.assess import store
from gatepost.assess.interview import entered
from gatepost.assess.model import Assessment
from gatepost.integrity.baseline import Watched, make_baseline
from gatepost.integrity.check import Options, check
from gatepost.integrity.state import State
from gatepost.site.integrity import Rule
from gatepost.site.model import Site
from gatepost.system.files import make_directory

FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nanna:x:1000:1000::/home/anna:/bin/bash\n",
    "etc/ssh/sshd_config": "PermitRootLogin no\nPasswordAuthentication no\n",
    "etc/postfix/main.cf": "smtpd_milters = unix:/run/gatepost/milter.sock\n",
    "usr/bin/ls": "\x7fELF made up\n",
    "var/www/index.html": "<h1>Company Widget</h1>\n",
}
CHANGED = {
    "etc/ssh/sshd_config": "PermitRootLogin yes\nPasswordAuthentication no\n",
    "usr/bin/ls": "\x7fELF made up, and longer than before\n",
    "etc/cron.d/update": "* * * * * root /tmp/.x\n",
}
"""What is found: a weaker setting, a program that no package brought, a job of nobody."""


def pretend_host(site: Site, folder: Path) -> None:
    """Two checks of a made-up server below `folder`: all well first, then with findings."""
    root = folder / "server"
    _write(root, FILES)
    rules = (Rule(name="Server", paths=("/",), severity=80),)
    section = site.integrity.model_copy(update={"rules": rules, "canary": "/canary", "share": 0})
    watched = Watched(section, State(Path(site.site.state) / "integrity", section.signer, section.strict), root, "server1")
    watched.state.prepare()
    make_baseline(watched, "anna", "first baseline", watched.state.host_key(), lambda _: None)
    check(watched, Options(full=True), lambda _: None)
    _write(root, CHANGED)
    check(watched, Options(full=True), lambda _: None)


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        make_directory((root / name).parent, 0o755)
        (root / name).write_text(text, encoding="utf-8")


def pretend_interview(site: Site, filled: Path) -> None:
    """Take over a form that was filled in as `gatepost assess print` prints it."""
    assessment, _count = entered(Assessment(), filled.read_text(encoding="utf-8"))
    store.save(store.path_in(Path(site.site.state)), assessment)
