"""Sites that the tests of the relay compile."""

from pathlib import Path

from gatepost.site.load import loads
from gatepost.site.model import Site

ROOT = Path(__file__).resolve().parents[2]
DEMO = (ROOT / "examples/widget/site.toml").read_text()

FULL = """
[mail.recipients]
verify = "list"
addresses = ["bob@widget.example", "ann@widget.example"]

[relay]
hostname = "mx.widget.example"
listen = ["192.168.2.3:25", "[2001:db8:2::3]:25"]
postscreen = true

[[relay.milters]]
name = "opendkim"
socket = "unix:/run/opendkim/opendkim.sock"

[[relay.milters]]
name = "spamass"
socket = "127.0.0.1:8892"
place = "before"
required = false

[relay.dkim]
selector = "gp1"
socket = "127.0.0.1:8893"

[relay.tls]
certificate = "/etc/gatepost/relay.crt"
key = "/etc/gatepost/relay.key"
policy = "required"

[relay.submission]
listen = ["192.168.2.3:587"]
socket = "unix:/run/dovecot/auth"
"""


MILTER = "unix:/run/gatepost/milter.sock"
"""Where the demo company's milter listens."""


def demo_text(extra: str = "", milter: str = MILTER) -> str:
    """The demo company's site file, with its milter elsewhere if wanted."""
    return f"{DEMO.replace(MILTER, milter)}\n{extra}"


def demo(extra: str = "", milter: str = MILTER) -> Site:
    """The demo company with a milter."""
    return loads(demo_text(extra, milter))
