"""The proposed site file: right at once, each rule with its answer, and services that cannot be justified refused."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.assess import interview, recommend
from gatepost.assess.catalogue import short_way
from gatepost.assess.model import Assessment
from gatepost.assess.recommend import NotYetError
from gatepost.firewall.catalogue import SERVICES
from gatepost.firewall.declare import declare
from gatepost.report.policy import permissions
from gatepost.site.load import loads
from gatepost.site.problem import SiteError

TODAY = dt.date(2026, 11, 23)
WIDGET = Path(__file__).resolve().parent.parent.parent / "examples/widget/interview.txt"
WEB = {"service": "https", "from": "internal", "to": "internet", "why": "Employees read the web.", "owner": "supervisor"}


def short(*needed: dict[str, str]) -> Assessment:
    """The twelve answers, as their examples give them."""
    found = Assessment()
    for one in short_way():
        found = interview.answered(found, one.id, one.example if one.form != "table" else needed or [WEB])
    return found


def test_twelve_answers_give_a_site_file_that_is_right_and_whose_network_can_be_declared() -> None:
    site = loads(recommend.propose(short(), SERVICES).text)

    assert set(site.zones) == {"internet", "services", "internal"}
    assert declare(site, TODAY).allowed


def test_every_rule_names_the_answer_it_follows_from() -> None:
    answers = short()
    site = loads(recommend.propose(answers, SERVICES).text)

    for rule in permissions(site):
        name, _, row = rule.answer.partition("#")
        assert name in answers.answers, rule
        assert not row or int(row) <= len(answers.rows(name))
        assert rule.reason
        assert rule.owner


def test_a_rule_without_an_answer_fails_the_check_as_soon_as_others_have_one() -> None:
    text = recommend.propose(short(), SERVICES).text
    with pytest.raises(SiteError, match="names no answer"):
        loads(text.replace('answer = "services-needed#1"\n', ""))
    loads("\n".join(line for line in text.splitlines() if not line.startswith("answer = ")))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (WEB | {"service": "telnet"}, "in the clear"),
        (WEB | {"service": "smb"}, "worms"),
        (WEB | {"service": "ftp"}, "name the one server"),
        (WEB | {"service": "frobnicate"}, "knows no service"),
        (WEB | {"why": "because"}, "what it is needed for"),
    ],
)
def test_a_service_that_cannot_be_justified_is_refused_with_a_reason(row: dict[str, str], why: str) -> None:
    proposal = recommend.propose(short(WEB, row), SERVICES)

    assert [one.service for one in proposal.refused] == [row["service"]]
    assert why in proposal.refused[0].why
    assert loads(proposal.text)


def test_an_exception_keeps_its_end() -> None:
    row = WEB | {"service": "ftp", "from": "192.168.3.10", "to": "198.51.100.21", "until": "2027-06-30"}
    (flow,) = (one for one in loads(recommend.propose(short(row), SERVICES).text).flows if one.id == "need-1-ftp")

    assert (flow.expires, flow.helper, flow.sources) == (dt.date(2027, 6, 30), "ftp", ("adminpc",))


@pytest.mark.parametrize("missing", [one.id for one in short_way()])
def test_a_missing_answer_is_named(missing: str) -> None:
    answers = short()
    with pytest.raises(NotYetError, match=missing):
        recommend.propose(Assessment({name: value for name, value in answers.answers.items() if name != missing}), SERVICES)


@settings(max_examples=25)
@given(st.text(min_size=8), st.text(min_size=2), st.text(min_size=1))
def test_whatever_people_write_stays_text_in_the_site_file(why: str, owner: str, company: str) -> None:
    try:
        found = interview.answered(short(WEB | {"why": why, "owner": owner}), "company", company)
    except interview.AnswerError:
        return
    if "company" not in found.answers or len(found.rows("services-needed")[0]["owner"]) < 2:
        return
    proposal = recommend.propose(found, SERVICES)
    site = loads(proposal.text)
    assert site.site.name == found.text("company")
    assert {rule.answer for rule in permissions(site)} <= {*found.answers, "services-needed#1"}


def test_the_demo_company_gets_everything_without_a_pen(tmp_path) -> None:
    import io

    import pikepdf

    from gatepost.report import render
    from gatepost.report.assessed import documents

    made = documents(interview.entered(Assessment(), WIDGET.read_text())[0], TODAY)
    if shutil.which("nft") and made.proposed.proof is not None:
        assert made.proposed.proved
    if render.has_pdf():
        with pikepdf.open(io.BytesIO(render.paper(made.decision, "pdf"))) as pdf:
            assert len(pdf.pages) == 2
    for paper in (made.policy, made.risks, made.decision):
        assert b"Company Widget" in render.paper(paper, "text")
        assert b"Company Widget" in render.paper(paper, "html")
    text = render.paper(made.policy, "text").decode()
    assert "telnet, asked for by sales" in text
    assert "2027-06-30" in text
