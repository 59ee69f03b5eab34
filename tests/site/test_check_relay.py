"""The order of milters: what modifies comes before what signs, what verifies before what modifies."""

from __future__ import annotations

import pytest

from gatepost.site.check import check
from gatepost.site.load import loads
from gatepost.site.problem import SiteError

SITE = """
[site]
name = "W"
[mail]
domains = ["widget.example"]
next_hop = "192.168.3.45:25"
[mail.milter]
listen = "unix:/run/gatepost/milter.sock"
"""


def milter(name: str, place: str, task: str = "", socket: str = "") -> str:
    task = f'task = "{task}"' if task else ""
    return f'[[relay.milters]]\nname = "{name}"\nsocket = "{socket or "unix:/run/" + name}"\nplace = "{place}"\n{task}\n'


GOOD = [
    milter("opendkim", "before") + milter("spamass", "before"),
    milter("mimedefang", "after") + milter("opendkim", "after"),
    milter("opendkim", "after") + milter("openarc", "after"),
    milter("opendkim", "after", task="filter") + milter("spamass", "after"),
    milter("spamass", "before") + '[relay.dkim]\nselector = "a"\n',
]
BAD = [
    (milter("opendkim", "before", task="sign"), "Gatepost may change afterwards", 'place = "after"'),
    (milter("opendkim", "after", task="verify"), "Gatepost may have changed", 'place = "before"'),
    (milter("opendkim", "after") + milter("spamass", "after"), "spamass comes after opendkim, which has signed", "move the signer last"),
    (milter("spamass", "before") + milter("opendkim", "before"), "opendkim verifies after spamass", "move the verifier first"),
    (
        milter("spamass", "before") + milter("spamass", "after", socket="unix:/run/b"),
        "another milter is called spamass",
        "a name of its own",
    ),
    (milter("spamass", "before", socket="unix:/run/gatepost/milter.sock"), "is the socket of gatepost", "keep one"),
    (milter("opendkim", "after", socket="127.0.0.1:8891") + '[relay.dkim]\nselector = "a"\n', "is the socket of opendkim", "keep one"),
    ('[relay.tls]\ncertificate = "/etc/x.crt"\n', "belong together", "give both"),
]


@pytest.mark.parametrize("row", GOOD)
def test_a_good_order_is_taken(row: str) -> None:
    assert list(check(loads(SITE + row))) == []


@pytest.mark.parametrize(("row", "what", "remedy"), BAD)
def test_a_bad_order_is_an_error_with_its_remedy(row: str, what: str, remedy: str) -> None:
    with pytest.raises(SiteError, match=what) as caught:
        loads(SITE + row)
    assert remedy in str(caught.value)
