"""`gatepost assess`: the risk interview, and what follows from it.

Not its job: any judgement; questions, risks and documents come from `gatepost.assess` and `gatepost.report`.
Raises: nothing; an error that the user can mend is one sentence on standard error, exit status 2.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gatepost.assess import form, interview, risks, score, store
from gatepost.assess.catalogue import asked_of
from gatepost.assess.incident import KINDS, SUBJECT, TOLD, EmptyReportError, data, incident
from gatepost.assess.interview import AnswerError
from gatepost.assess.model import Assessment, Audience, Question
from gatepost.assess.recommend import NotYetError
from gatepost.assess.words import in_words
from gatepost.cli.common import SITE, JsonOption, SiteOption, ask_keeper, fail, site_of
from gatepost.firewall.declare import DeclarationError
from gatepost.report import render
from gatepost.report.assessed import documents
from gatepost.report.register import state_words
from gatepost.services.messages import Note
from gatepost.site.problem import SiteError
from gatepost.system.files import make_directory, write_atomic

app = typer.Typer(add_completion=False, invoke_without_command=True, pretty_exceptions_enable=False)

File = Annotated[Path, typer.Option("--file", "-f", metavar="FILE", envvar="GATEPOST_ASSESSMENT", help="Where answers are kept.")]
Who = Annotated[Audience | None, typer.Option("--for", help="Only the questions for these people.")]
Short = Annotated[bool, typer.Option("--short", help="Only the twelve questions that a network of three zones needs.")]
Language = Annotated[str, typer.Option("--language", metavar="en|de", help="The language of the questions.")]
KEPT = Path(store.NAME)
WIDTH = 88


@app.callback()
def assess(
    context: typer.Context,
    file: File = KEPT,
    audience: Who = None,
    short: Short = False,
    language: Language = "en",
    json_output: JsonOption = False,
) -> None:
    """Ask, and go on where it was left: an empty line leaves a question for later, control-D ends.

    Examples:

        gatepost assess --short

        gatepost assess documents papers
    """
    if context.invoked_subcommand is not None:
        return
    if json_output:
        _print_state(_load(file))
    elif audience is Audience.EMPLOYEES:
        _ask_employee(file, language)
    else:
        _ask_company(file, audience, language, short=short)


def _load(file: Path) -> Assessment:
    try:
        return store.load(file)
    except form.FormError as error:
        fail(f"{file}: {error}")
    except OSError as error:
        fail(f"{file}: {error.strerror}")


def _save(file: Path, assessment: Assessment) -> None:
    try:
        store.save(file, risks.seen(assessment, _today()))
    except OSError as error:
        fail(f"{file}: {error.strerror}")


def _today() -> dt.date:
    return dt.datetime.now().astimezone().date()


# Asking.


def _ask_company(file: Path, audience: Audience | None, language: str, *, short: bool) -> None:
    assessment, put_off = _load(file), set[str]()
    while left := [one for one in interview.left(assessment, audience, short=short) if one.id not in put_off]:
        asked = left[0]
        _show(asked, language, str(interview.progress(assessment, audience, short=short)))
        given = _answer(asked)
        if given is None:
            break
        try:
            assessment = interview.answered(assessment, asked.id, given)
        except (AnswerError, form.FormError) as error:
            print(f"  ! {error}")
            continue
        if asked.id in assessment.answers:
            _save(file, assessment)
        else:
            put_off.add(asked.id)
    print(f"\n{interview.progress(assessment, audience, short=short)} answered, kept in {file}.")
    print(f"Next: gatepost assess documents papers --file {file}" if not interview.left(assessment, short=True) else "")


def _ask_employee(file: Path, language: str) -> None:
    assessment, given = _load(file), dict[str, str]()
    asked_for = asked_of(Audience.EMPLOYEES)
    for number, asked in enumerate(asked_for):
        _show(asked, language, f"{number} of {len(asked_for)}")
        while (text := _answer(asked)) is not None:
            try:
                interview.normal(asked, text)
            except AnswerError as error:
                print(f"  ! {error}")
            else:
                given[asked.id] = text
                break
        else:
            break
    _save(file, replace(assessment, sheets=(*assessment.sheets, interview.sheet("", given))))
    print(f"\nThank you. This was sheet {len(assessment.sheets) + 1}.")


def _show(asked: Question, language: str, done: str) -> None:
    text, why = asked.words(language)
    like = in_words("e.g.", language)
    print(f"\n({done}) {in_words(asked.section, language)}")
    print(textwrap.fill(text, WIDTH))
    print(textwrap.fill(why, WIDTH, initial_indent="    ", subsequent_indent="    "))
    if asked.form == "yes-no":
        print(f"    {in_words('yes / no', language)}")
    for number, choice in enumerate(asked.choices, 1):
        print(f"    {choice.value if choice.value.isdigit() else number} = {choice.de if language == 'de' else choice.text}")
    if asked.form == "table":
        print(f"    {in_words('one row a line, an empty line ends', language)}:")
        print("    " + " | ".join(one.de if language == "de" else one.text for one in asked.columns))
        print(f"    {like} " + " | ".join(one.example for one in asked.columns))
    elif asked.example:
        print(f"    {like} {asked.example}")


def _answer(asked: Question) -> str | None:
    """What is typed; None at the end of the input."""
    lines: list[str] = []
    while True:
        try:
            line = input("> ")
        except EOFError:
            return "\n".join(lines) if lines else None
        if asked.form != "table":
            return line
        if not line.strip():
            return "\n".join(lines)
        lines.append(line)


# Paper.


@app.command("print")
def print_command(audience: Who = None, short: Short = False, language: Language = "en") -> None:
    """Print the questions as a form; fill in the lines that begin with ">" and give it back to gatepost assess enter.

    Example:

        gatepost assess print --for employees > sheet.txt
    """
    if audience is Audience.EMPLOYEES:
        sys.stdout.write(form.sheet_head(language) + "\n")
    chosen = asked_of(audience) if audience and not short else interview.asked(Assessment(), short=short)
    sys.stdout.write(form.printed(chosen, language))


@app.command()
def enter(
    source: Annotated[Path, typer.Argument(metavar="FORM", help="A form that was filled in; sheets of several employees end with =====.")],
    file: File = KEPT,
) -> None:
    """Take over what was written on a form.

    Example:

        gatepost assess enter sheet.txt
    """
    try:
        assessment, count = interview.entered(_load(file), source.read_text(encoding="utf-8"))
    except (AnswerError, form.FormError) as error:
        fail(f"{source}: {error}; nothing was taken over")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{source}: {error}")
    _save(file, assessment)
    print(f"{count} answers taken over; {interview.progress(assessment)} of the company's questions are answered")


# What follows.


@app.command("risks")
def risks_command(file: File = KEPT, json_output: JsonOption = False) -> None:
    """List the risks, the gravest first. Exit status 1 when one is overdue.

    Example:

        gatepost assess risks
    """
    found, today = risks.register(_load(file), _today()), _today()
    if json_output:
        print(json.dumps([_risk_data(risk) for risk in found], indent=1))
    else:
        for risk in found:
            print(f"{risk.weight:<7}{risk.id:<20} {risk.due}  {state_words(risk, today)}: {risk.known.title}")
            print(textwrap.fill(f"{risk.known.measure} ({risk.owner})", WIDTH, initial_indent=" " * 28, subsequent_indent=" " * 28))
        print("\nWhy one of them matters: gatepost why NAME" if found else "There is no risk.")
    raise typer.Exit(any(risk.overdue(today) for risk in found))


def _risk_data(risk: risks.Risk) -> dict[str, object]:
    return {
        "id": risk.id,
        "title": risk.known.title,
        "weight": risk.weight,
        "level": risk.level,
        "phase": risk.known.phase,
        "state": risk.state,
        "owner": risk.owner,
        "due": str(risk.due),
        "details": risk.details,
        "measure": risk.known.measure,
    }


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        fail(f"{text!r} is no date; write it like 2026-12-31")


@app.command()
def risk(
    name: Annotated[str, typer.Argument(metavar="RISK", help="Its short name in the list.")],
    owner: Annotated[str, typer.Option(help="Who deals with it.")] = "",
    due: Annotated[str, typer.Option(metavar="DATE", help="Until when.")] = "",
    accept: Annotated[str, typer.Option(metavar="WHO", help="Who carries it meanwhile.")] = "",
    until: Annotated[str, typer.Option(metavar="DATE", help="The day on which the acceptance ends.")] = "",
    why: Annotated[str, typer.Option(help="Why it may stay so long.")] = "",
    done: Annotated[bool, typer.Option("--done", help="It was dealt with.")] = False,
    again: Annotated[bool, typer.Option("--open", help="It is open again.")] = False,
    file: File = KEPT,
) -> None:
    """Note what was decided about a risk.

    Example:

        gatepost assess risk single-point --accept "Managing director" --until 2027-03-31 --why "the new server comes in March"
    """
    assessment = _load(file)
    found = next((one for one in risks.register(assessment, _today()) if one.id == name), None)
    if found is None:
        fail(f"there is no risk {name!r} in the register; gatepost assess risks lists them")
    if accept and not (until and why):
        fail("who accepts a risk says until when and why: --until DATE --why REASON")
    noted = replace(found.noted, found=found.found, owner=owner or found.noted.owner, due=_date(due) or found.noted.due)
    if accept:
        noted = replace(noted, accepted_by=accept, accepted_until=_date(until), accepted_why=why, done=None)
    if done or again:
        noted = replace(noted, done=_today() if done else None, accepted_by="", accepted_until=None, accepted_why="")
    changed = risks.noted(assessment, name, noted)
    _save(file, changed)
    print(state_words(next(one for one in risks.register(changed, _today()) if one.id == name), _today()))


@app.command()
def change(
    name: Annotated[str, typer.Argument(metavar="CHANGE", help="host-own-mail, remote-access or second-layer.")], file: File = KEPT
) -> None:
    """Say which risks a planned change adds and removes.

    Example:

        gatepost assess change host-own-mail
    """
    planned = next((one for one in risks.CHANGES if one.id == name), None)
    if planned is None:
        fail(f"there is no change {name!r}; choose {', '.join(one.id for one in risks.CHANGES)}")
    found = risks.effect(_load(file), planned, _today())
    print(planned.title)
    for sign, several in (("+", found.added), ("-", found.removed)):
        for one in several:
            print(f"  {sign} {one.weight}: {one.known.title}")
            print(textwrap.fill(one.known.measure, WIDTH, initial_indent="      ", subsequent_indent="      ") if sign == "+" else "")


@app.command("documents")
def documents_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where they are written.")] = Path("papers"), file: File = KEPT
) -> None:
    """Write the proposed site file, checked and proved, with firewall policy, risk register and decision record.

    Example:

        gatepost assess documents papers
    """
    assessment = risks.seen(_load(file), _today())
    try:
        made = documents(assessment, _today())
        make_directory(folder.resolve(), 0o755)
        write_atomic(folder / "site.toml", made.proposed.proposal.text.encode(), 0o644)
        for name, document in (("policy", made.policy), ("risks", made.risks), ("decision", made.decision)):
            for kind in _forms():
                write_atomic(folder / f"{name}.{'txt' if kind == 'text' else kind}", render.paper(document, kind), 0o644)
    except (NotYetError, SiteError, DeclarationError, render.RenderError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    _save(file, assessment)
    proved = {True: "proved", False: "NOT PROVED: ask gatepost firewall prove", None: f"not proved here: {made.proposed.unproved}"}
    print(f"{folder}/site.toml: checked, its firewall {proved[made.proposed.proved]}")
    print(f"{folder}/policy, risks, decision as {', '.join(_forms())}")
    raise typer.Exit(made.proposed.proved is False)


def _forms() -> tuple[str, ...]:
    """The forms that can be made here."""
    return ("text", "html", "pdf") if render.has_pdf() else ("text", "html")


@app.command()
def tell(
    text: Annotated[str, typer.Argument(help="What was seen, in own words.")],
    kind: Annotated[str, typer.Option(help=", ".join(KINDS))] = "other",
    who: Annotated[str, typer.Option(help="Who saw it; may stay empty.")] = "",
    site: SiteOption = SITE,
) -> None:
    """Write down what an employee saw, and tell the administrator: the form "tell us".

    Example:

        gatepost assess tell "A man in the corridor asked for the server room" --kind visitor
    """
    try:
        told = incident(kind, text, who)
    except EmptyReportError as error:
        fail(str(error))
    ask_keeper(site_of(site), Note(TOLD, SUBJECT, data(told)))
    print("Written down, and the administrator will be told.")


def _print_state(assessment: Assessment) -> None:
    literacy = score.literacy(assessment.sheets)
    state = {
        "progress": {str(one): str(interview.progress(assessment, one)) for one in Audience if one is not Audience.EMPLOYEES},
        "sheets": len(assessment.sheets),
        "literacy": {"score": literacy.score, "level": literacy.level},
        "open": [one.id for one in interview.left(assessment)],
        "answers": dict(assessment.answers),
        "risks": [_risk_data(one) for one in risks.register(assessment, _today())],
    }
    print(json.dumps(state, indent=1, ensure_ascii=False, default=str))
