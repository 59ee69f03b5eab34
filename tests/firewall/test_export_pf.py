"""The file for pf: the golden text, the grammar of pf.conf(5) as far as we use it, and what is refused.

There is no pf here: nothing of this loads the file.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatepost.firewall.declare import Policy
from gatepost.firewall.export_iptables import ExportError
from gatepost.firewall.export_pf import export_pf
from tests.firewall.conftest import policy_from

GOLDEN = Path(__file__).parent / "golden" / "widget.pf.conf"
ADDRESS = r"(?:any|self|urpf-failed|(?:! )?<\w+>|[0-9a-f.:]+(?:/\d+)?|\{ [0-9a-f.:/, ]+ \})"
LIST = r"(?:\d+|\{ [\d:]+(?:, [\d:]+)* \})"
OPTION = (
    rf"(?: icmp6?-type {LIST}| tag \w+| tagged \w+| rdr-to \S+| nat-to (?:\([$]\w+\)|\S+)| received-on [$]\w+| no state"
    r"| max-pkt-rate \d+/\d+| keep state \([a-z0-9/, -]+\)| label \"[\w-]+\")"
)
RULE = re.compile(
    r"(?:pass|match|block(?: return)?)(?: in| out)?(?: log)?(?: quick)?(?: on [$]\w+)?(?: inet6?)?(?: proto \w+)?"
    rf"(?: all| from {ADDRESS} to {ADDRESS}(?: port {LIST})?){OPTION}*"
)
LINES = (
    re.compile(r"#.*|"),
    re.compile(r'\w+ = "[\w.-]+"'),
    re.compile(r"table <\w+> const \{ [0-9a-f.:/, ]+ \}"),
    re.compile(r"set (?:skip on lo|block-policy drop|reassemble yes)"),
    RULE,
)


def faults(text: str) -> list[str]:
    """Lines outside the grammar, and names that are used but not defined."""
    found = [line for line in text.splitlines() if not any(form.fullmatch(line) for form in LINES)]
    for used, defined in ((r"[$](\w+)", r"^(\w+) = "), (r"(?<!table )<(\w+)>", r"^table <(\w+)>"), (r" tagged (\w+)", r" tag (\w+)")):
        found += sorted(set(re.findall(used, text)) - set(re.findall(defined, text, re.MULTILINE)))
    return found


@pytest.fixture
def plain(widget_text: str) -> Policy:
    return policy_from(widget_text.replace('helper = "ftp"\n', ""))


def test_the_demo_company_is_written_as_in_the_golden_file(plain: Policy) -> None:
    assert export_pf(plain) == GOLDEN.read_text(encoding="utf-8")


def test_every_line_is_in_the_grammar_and_every_name_is_defined(plain: Policy) -> None:
    assert faults(export_pf(plain)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pass in quick on", "pass quick in on"),
        ("table <own>", "table <owned>"),
        ("tag internal_to_internet", "tag other"),
        (" to any", " too any"),
    ],
)
def test_the_check_itself_finds_mistakes(plain: Policy, old: str, new: str) -> None:
    text = export_pf(plain)

    assert old in text
    assert faults(text.replace(old, new)) != []


def test_nothing_reaches_the_firewall_but_what_stands_before_the_line_that_shuts_it(plain: Policy) -> None:
    lines = export_pf(plain).splitlines()
    shut = lines.index("block in log quick from any to self")
    through = [place for place, line in enumerate(lines) if line.startswith("pass in") and " tag " in line and " rdr-to " not in line]

    assert through
    assert min(through) > shut
    assert lines.index("block log all") < min(place for place, line in enumerate(lines) if line.startswith("pass"))


def test_a_flow_to_anywhere_does_not_take_what_another_flow_lets_elsewhere(widget_text: str) -> None:
    flow = (
        '[[flows]]\nid = "inside-web"\nfrom = "internal"\nto = "relay"\nservices = "http"\nreason = "The pages inside."\nowner = "boss"\n'
    )
    lines = export_pf(policy_from(widget_text.replace('helper = "ftp"\n', "") + flow)).splitlines()
    places = {name: next(place for place, line in enumerate(lines) if f'label "{name}"' in line) for name in ("inside-web", "web")}

    assert places["inside-web"] < places["web"]


def test_limits_and_logs_are_written_and_what_pf_cannot_say_is_refused_by_name(widget: Policy, widget_text: str) -> None:
    plain = widget_text.replace('helper = "ftp"\n', "")
    limited = policy_from(plain.replace('id = "mail-submit"\n', 'id = "mail-submit"\nrate = "5/minute"\nconnections = 3\nlog = "mail"\n'))
    [line] = [line for line in export_pf(limited).splitlines() if "mail-submit" in line and " inet " in line]

    assert line.startswith("pass in log quick")
    assert "keep state (max-src-conn 3, max-src-conn-rate 5/60)" in line
    assert faults(line.replace("$internal_1", "").replace("<internal>", "any").replace(" on ", "")) == []
    with pytest.raises(ExportError, match="supplier-ftp"):
        export_pf(widget)
    with pytest.raises(ExportError, match="dns"):
        export_pf(policy_from(plain.replace('id = "dns"\n', 'id = "dns"\nconnections = 3\n')))
    with pytest.raises(ExportError, match="ban"):
        export_pf(policy_from(plain + "\n[firewall.scan]\nban = true\n"))
