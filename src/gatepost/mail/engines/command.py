"""Any command-line scanner, by a table of presets or by the user's own command.

What it does: writes the raw mail and each different content into a private directory, has the program scan it within limits, and
judges exit status and output by the table.
Not its job: the table (`presets`), limits of children (`system.children`).
Raises: `EngineError` for a program that is missing, ends by itself with a status nobody knows, or contradicts itself.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gatepost.mail.engines import clamnames
from gatepost.mail.engines.options import Options
from gatepost.mail.engines.presets import PRESETS, Preset
from gatepost.mail.inspect.content import Piece, everything, too_large, within
from gatepost.mail.inspect.engine import EngineError, EngineInfo, EngineTimeoutError
from gatepost.mail.model import Envelope, Finding, Message
from gatepost.system.children import Bounds, Outcome, run

MAX_SIZE = 100_000_000
MEMORY = 4 << 30  # signature sets of some scanners take over a gigabyte
_OUTPUT_LIMIT = 1 << 20
_INFO = Bounds(wall=20.0, memory=MEMORY, output=_OUTPUT_LIMIT)
_EXPIRED = re.compile(r"licen[cs]e[^\n]{0,60}expired|expired[^\n]{0,60}licen[cs]e", re.IGNORECASE)


class Command:
    """The engine `command`. Options: `preset`, or `command` with `{path}`, `clean`, `infected` and `pattern`; `scratch`, `memory`, `max_size`."""

    local = False

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        given = Options(name, options)
        self.name = name
        self._preset = _preset(given)
        self._scratch = given.text("scratch", "")
        self._memory = given.size("memory", MEMORY)
        self._max_size = given.size("max_size", MAX_SIZE)
        given.done()

    def info(self) -> EngineInfo:
        """Ask for the program's version: the first line that it prints."""
        if not self._preset.version:
            return EngineInfo(Path(self._preset.command[0]).name)
        outcome = run(self._preset.version, _INFO)
        lines = outcome.stdout.decode("utf-8", "replace").strip().splitlines()
        if outcome.failure or not lines:
            raise EngineError(outcome.failure or f"{self._preset.version[0]} does not say its version")
        return EngineInfo(lines[0].strip()[:100])

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Have the mail looked at."""
        del envelope
        return self.look(self.select(message), deadline)

    def select(self, message: Message) -> list[Piece]:
        """Choose everything: how well the program reads mail is not known."""
        return everything(message)

    def look(self, pieces: Sequence[Piece], deadline: float) -> tuple[Finding, ...]:
        """Have all `pieces` looked at by one run of the program."""
        fit, large = within(pieces, self._max_size)
        findings = tuple(too_large(piece, self.name, self._max_size) for piece in large)
        if not fit:
            return findings
        with tempfile.TemporaryDirectory(prefix="gatepost-", dir=self._scratch or None) as directory:
            for number, piece in enumerate(fit):
                (Path(directory) / f"part-{number}").write_bytes(piece.data)
            found = judge(self._preset, self._run(directory, deadline))
        return findings + tuple(clamnames.finding(name, _located(line, fit), self.name) for name, line in found)

    def _run(self, directory: str, deadline: float) -> Outcome:
        left = deadline - time.monotonic()
        if left <= 0:
            raise EngineTimeoutError("no time is left")
        bounds = Bounds(wall=left, cpu=int(left) + 1, memory=self._memory, output=_OUTPUT_LIMIT)
        outcome = run([word.replace("{path}", directory) for word in self._preset.command], bounds)
        if time.monotonic() >= deadline:
            raise EngineTimeoutError(outcome.failure or "the program took too long")
        return outcome


def judge(preset: Preset, outcome: Outcome) -> list[tuple[str, str]]:
    """Give what was found: names, each with the line that tells it; [] is clean. Raises EngineError."""
    text = outcome.stdout.decode("utf-8", "replace")
    if outcome.failure:
        raise EngineError(outcome.failure)
    if _EXPIRED.search(text) or _EXPIRED.search(outcome.stderr.decode("utf-8", "replace")):
        raise EngineError(f"{preset.command[0]} says that its licence has expired; renew it or take this engine out")
    infected = outcome.status in preset.infected or bool(preset.infected_text and preset.infected_text.search(text))
    if infected:
        return _names(preset.name, text) or [(f"status-{outcome.status}", "")]
    if outcome.status not in preset.clean:
        told = (outcome.stderr or outcome.stdout)[-200:].decode("utf-8", "replace").strip()
        raise EngineError(f"{preset.command[0]} ended with status {outcome.status}, which means neither clean nor infected: {told}")
    if _names(preset.name, text) or (preset.clean_text and not preset.clean_text.search(text)):
        raise EngineError(f"{preset.command[0]} ended as if all were clean, but its output does not say so")
    return []


def _names(pattern: re.Pattern[str], text: str) -> list[tuple[str, str]]:
    found = []
    for line in text.splitlines():
        match = pattern.search(line)
        if match:
            found.append((next((group for group in match.groups() if group), match[0]).strip(), line))
    return found


def _located(line: str, pieces: Sequence[Piece]) -> str:
    match = re.search(r"/part-(\d{1,6})\b", line)
    return pieces[int(match[1])].path if match and int(match[1]) < len(pieces) else ""


def _preset(given: Options) -> Preset:
    """Read which program it is: one of ours, another path for one of ours, or the user's own."""
    chosen, command = given.text("preset", ""), given.texts("command")
    if command and not any("{path}" in word for word in command):
        raise given.error("command", "must contain {path}, which stands for the directory to scan")
    if chosen:
        if chosen not in PRESETS:
            raise given.error("preset", f"must be one of {', '.join(PRESETS)}, not {chosen!r}")
        return replace(PRESETS[chosen], command=command, version=()) if command else PRESETS[chosen]
    if not command:
        raise given.error("preset", f"is missing: name one of {', '.join(PRESETS)}, or write 'command' yourself")
    clean, infected = given.codes("clean", (0,)), given.codes("infected", ())
    if not infected or clean & infected:
        raise given.error("infected", "must name the exit statuses that mean infected, none of them in 'clean'")
    try:
        pattern = re.compile(given.text("pattern", r"(?!)"))
    except re.error as error:
        raise given.error("pattern", f"is no regular expression: {error}") from error
    return Preset(command, clean, infected, pattern)
