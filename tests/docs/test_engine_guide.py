"""The example of docs/writing-an-engine.md works as it stands there."""

import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from gatepost.mail.decide.policy import Context, decide
from gatepost.mail.inspect import registry
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Direction, Disposition, Envelope, Kind
from gatepost.services import wiring
from gatepost.site.model import Site

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/writing-an-engine.md"
OUTBOUND = frozenset({Direction.OUTBOUND})
MAIL = b"From: alice@widget.example\r\nTo: carol@partner.example\r\nSubject: hello\r\n\r\nThe BlueBird flies at noon.\r\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's package, as if somebody had installed it."""
    (tmp_path / "codewords.py").write_text(blocks("python")[0])
    monkeypatch.syspath_prepend(tmp_path)
    (name, value), *_ = tomllib.loads(blocks("toml")[0])["project"]["entry-points"]["gatepost.engines"].items()
    ours = registry.entry_points

    def with_guide(**wanted: str) -> list[EntryPoint]:
        guide = EntryPoint(name, value, registry.GROUP)
        return [*ours(**wanted), *([guide] if wanted.get("name", name) == name else [])]

    monkeypatch.setattr(registry, "entry_points", with_guide)


@pytest.fixture
def site() -> Site:
    base = {"site": {"name": "guide"}, "mail": {"domains": ["widget.example"], "next_hop": "localhost"}}
    return Site.model_validate(base | tomllib.loads(blocks("toml")[1]))


def test_the_example_finds_its_word_in_a_real_examination(installed: None, site: Site) -> None:
    verdict = wiring.examination(site)(MAIL, Envelope("alice@widget.example", ("carol@partner.example",)), OUTBOUND)

    found = [finding for finding in verdict.findings if finding.source == "codewords"]
    assert [(finding.kind, finding.name, finding.part) for finding in found] == [(Kind.SUSPECT, "bluebird", "1")]


def test_the_rule_of_the_guide_refuses_the_mail(installed: None, site: Site) -> None:
    verdict = wiring.examination(site)(MAIL, Envelope("alice@widget.example", ("carol@partner.example",)), OUTBOUND)

    decision = decide(verdict.findings, Context("carol@partner.example", Direction.OUTBOUND), site.policy)

    assert (decision.disposition, decision.rule) == (Disposition.REJECT, "no-code-words-out")


def test_mail_without_the_word_is_clean(installed: None, site: Site) -> None:
    verdict = wiring.examination(site)(MAIL.replace(b"BlueBird", b"train"), Envelope("", ()), OUTBOUND)

    assert verdict.findings == ()


def test_without_words_the_engine_says_what_to_write(installed: None) -> None:
    with pytest.raises(EngineError, match="give it words"):
        registry.make("codewords", options={})
