"""A report as one HTML page that needs nothing else: for the browser, the mail and the archive.

Every text from the file system goes through `html.escape`; there is no script and nothing is loaded.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Final

from gatepost.integrity import text
from gatepost.integrity.canary import Song
from gatepost.integrity.report import Finding, Report, Status

_COLOURS: Final = {Status.WELL: "#1a7f37", Status.FINDINGS: "#b35900", Status.BROKEN: "#b3261e"}
_CLASSES: Final = {"critical": "#b3261e", "high": "#b35900", "medium": "#8a6d00", "low": "#57606a"}

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:0;background:Canvas;color:CanvasText}
main{max-width:60rem;margin:0 auto;padding:1.5rem}
header{color:#fff;padding:1.25rem 1.5rem;border-radius:.6rem}
header h1{margin:0;font-size:1.5rem;font-weight:600} header p{margin:.3rem 0 0;opacity:.9}
h2{font-size:1.05rem;margin:1.8rem 0 .5rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.8rem;margin:1rem 0}
.card{border:1px solid #8884;border-radius:.5rem;padding:.7rem .9rem} .card b{display:block;font-size:1.15rem}
.card span{font-size:.85rem;opacity:.75}
.alarm{border-left:.35rem solid #b3261e;background:#b3261e1a;padding:.7rem 1rem;margin:.8rem 0;border-radius:.3rem}
table{border-collapse:collapse;width:100%;font-size:.9rem} td,th{padding:.35rem .5rem;text-align:left;vertical-align:top;border-bottom:1px solid #8883}
code{font:.86rem/1.4 ui-monospace,monospace;overflow-wrap:anywhere} del{opacity:.65;text-decoration:none} .n{opacity:.6;text-align:right;width:2.2rem} .k{width:6rem}
.tag{color:#fff;border-radius:.3rem;padding:.05rem .45rem;font-size:.8rem} .num{text-align:right;white-space:nowrap}
footer{margin-top:2rem;font-size:.82rem;opacity:.75}
"""


def rendered(report: Report) -> str:
    """The whole page."""
    return "\n".join(_page(report))


def _page(report: Report) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<title>{escape(text.headline(report))}: {escape(report.host)}</title><style>{_STYLE}</style></head><body><main>"
    yield f'<header style="background:{_COLOURS[report.status]}"><h1>{escape(text.headline(report).capitalize())}</h1>'
    yield f"<p>{escape(report.host)}, report {report.sequence}, {text.moment(report.finished)}</p></header>"
    yield from (f'<div class="alarm"><b>{escape(alarm.name)}</b>: {escape(alarm.text)}</div>' for alarm in report.alarms)
    yield from _cards(report)
    yield from _findings(report)
    yield from _explained(report)
    yield from _footer(report)
    yield "</main></body></html>"


def _cards(report: Report) -> Iterator[str]:
    canary = report.canary
    alive = canary is not None and canary.song is Song.ALIVE
    explained = sum(e.count for e in report.explained)
    cards = (
        (
            "Canary",
            "seen" if alive else (canary.song.value if canary else "missing"),
            "the planted change with its fresh value" if alive else "do not trust this report",
        ),
        ("Unexplained", f"{len(report.findings) + report.hidden:,}", "changes that nobody announced"),
        (
            "Explained",
            f"{explained:,}",
            f"changes with {len(report.explained)} known reasons" if explained else "no change had a known reason",
        ),
        ("Looked at", f"{report.tally.entries:,}", f"objects, {report.tally.bytes / 1e6:,.0f} MB read, {report.mode}"),
    )
    yield '<div class="cards">'
    yield from (
        f'<div class="card"><span>{name}</span><b>{escape(value)}</b><span>{escape(note)}</span></div>' for name, value, note in cards
    )
    yield "</div>"


def _findings(report: Report) -> Iterator[str]:
    numbered = sorted(enumerate(report.findings, 1), key=lambda x: (-x[1].severity, x[1].rule, x[0]))
    for (negative, rule), members in groupby(numbered, key=lambda x: (-x[1].severity, x[1].rule)):
        word = text.severity_word(-negative)
        yield f'<h2>{escape(rule)} <span class="tag" style="background:{_CLASSES[word]}">{word}</span></h2><table>'
        yield from (_row(number, finding) for number, finding in members)
        yield "</table>"
    if report.hidden:
        yield f"<p>... and {report.hidden:,} more</p>"
    if report.findings:
        yield "<p>Meant by somebody? On the host: <code>gatepost integrity accept NUMBER... --why REASON</code></p>"


def _row(number: int, finding: Finding) -> str:
    details = "<br>".join(_detail(*detail) for detail in text.telling(finding.details))
    rest = "<br>".join(part for part in (details, escape(finding.note)) if part)
    return f'<tr><td class="n">{number}</td><td class="k">{escape(finding.kind)}</td><td><code>{escape(finding.path)}</code><br>{rest}</td></tr>'


def _detail(name: str, old: str, new: str) -> str:
    """One attribute; the whole value is in the tool tip where a short one is shown."""
    values = (f'<code title="{escape(value)}">{escape(text.short(name, value))}</code>' for value in (old, new))
    return f"{escape(name)}: <del>{next(values)}</del> &rarr; {next(values)}"


def _explained(report: Report) -> Iterator[str]:
    if not report.explained:
        return
    yield "<h2>Explained</h2><table>"
    for one in report.explained:
        yield f'<tr><td>{escape(one.by)}</td><td class="num">{one.count:,}</td><td>{escape(one.why)}</td></tr>'
    yield "</table>"


def _footer(report: Report) -> Iterator[str]:
    made = text.moment(report.baseline_made) if report.baseline_made else "never"
    lines = [f"Canary: {text.canary_line(report)}.", f"Baseline {report.baseline[:12] or 'none'}, made {made}."]
    lines.append(f"Chain: {text.chain_line(report)}.")
    lines += [f"Ledger: {line}" for line in report.accepted] + [f"Note: {note}" for note in report.notes]
    yield "<footer>" + "<br>".join(escape(line) for line in lines) + "</footer>"
