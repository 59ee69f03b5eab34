"""Reading the site file: TOML to a frozen `Site`, or every problem with its line.

What it does: reads, validates each section, then lets `check` compare sections with each other; what cannot be used is left out
for that second look, so that one run names every problem.
Not its job: looking at the machine (sockets, rights, ports); that is the doctor's.
Raises: `SiteError`, always with at least one problem; also for a file that cannot be read.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gatepost.site.aliases import check_aliases
from gatepost.site.changes import changed
from gatepost.site.check import check
from gatepost.site.lines import Path as KeyPath
from gatepost.site.lines import line_index, line_of
from gatepost.site.model import Site
from gatepost.site.problem import Problem, SiteError, nearest

ROUNDS = 3
"""Taking something out can leave something else incomplete, which then goes too."""

PLAIN = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "float_parsing": "must be a number",
    "string_type": "must be a text in quotes",
    "tuple_type": "must be a list in brackets",
    "list_type": "must be a list in brackets",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "too_short": "needs at least one entry",
    "string_too_short": "must not be empty",
}


def load(path: Path | str, kinds: Iterable[str] = ()) -> Site:
    """Read and check the site file at `path`; `kinds` are the engines installed here (none: engine names are not checked)."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SiteError([Problem(str(path), 1, "", f"the site file cannot be read: {reason}", "name it with --site FILE")]) from None
    return loads(text, str(path), kinds)


def loads(text: str, name: str = "site.toml", kinds: Iterable[str] = ()) -> Site:
    """Read and check the text of a site file; `name` is what problems call it."""
    data = _toml(text, name)
    source = _Source(name, text, line_index(text))
    site, details = _validate(data)
    found = [_explain(detail, source) for detail in details if not _follows(detail, details)]
    if site is None:
        site = _mended(data, details)
    if site is not None:
        found += [source.problem(path, what, remedy) for path, what, remedy in check(site, frozenset(kinds))]
        found += check_aliases(site.mail.recipients.aliases)
    if found or site is None:
        raise SiteError(found)
    return site


@dataclass(frozen=True, slots=True)
class _Source:
    """The text that problems point into."""

    name: str
    text: str
    lines: Mapping[KeyPath, int]

    def problem(self, path: KeyPath, what: str, remedy: str = "") -> Problem:
        line = line_of(self.lines, path)
        rows = self.text.splitlines()
        return Problem(self.name, line, dotted(path), what, remedy, rows[line - 1].rstrip() if rows else "")


def dotted(path: KeyPath) -> str:
    """A key path as an administrator would say it: policy.rules[2].name, counted from 1."""
    text = ""
    for step in path:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(match[1]) if match else max(1, text.count("\n"))
        what = re.sub(r" \(at .*\)$", "", str(error))
        rows = text.splitlines()
        source = rows[line - 1] if line <= len(rows) else ""
        raise SiteError(
            [Problem(name, line, "", f"this is not TOML: {what}", "texts stand in quotes, lists in brackets", source)]
        ) from None


def _validate(data: dict[str, Any]) -> tuple[Site | None, list[ErrorDetails]]:
    """A site, or what pydantic says is wrong."""
    try:
        return Site.model_validate(data), []
    except ValidationError as error:
        return None, error.errors()


def _follows(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether this says only again what another of `details` says better."""
    path = _path(detail)
    if detail["type"] == "missing":
        return any((*_path(other)[:-1], _suggestion(other)) == path for other in details if other["type"] == "extra_forbidden")
    return detail["type"] == "too_short" and any(_path(other)[: len(path)] == path for other in details if other is not detail)


def _mended(data: dict[str, Any], details: list[ErrorDetails]) -> Site | None:
    """The site with misspelt keys put right and without what is wrong, if anything usable is left."""
    rest = copy.deepcopy(data)
    site = None
    for _ in range(ROUNDS):
        wrong = [detail for detail in details if not _follows(detail, details)]
        # From the end, so that taking an element out moves none that comes later in turn.
        for detail in sorted(wrong, key=lambda detail: [(isinstance(step, str), step) for step in _culprit(detail)], reverse=True):
            _mend(rest, detail)
        site, details = _validate(rest)
    return site


def _culprit(detail: ErrorDetails) -> KeyPath:
    """What to take out: what is wrong, or the whole of what lacks something."""
    return _path(detail)[:-1] if detail["type"] == "missing" else _path(detail)


def _mend(data: dict[str, Any], detail: ErrorDetails) -> None:
    """Rename a misspelt key, or take out what is wrong; nothing happens where it went with something else already."""
    path = _culprit(detail)
    try:
        table = _table(data, path[:-1])
        value = table.pop(path[-1])
    except (LookupError, TypeError, AttributeError):
        return
    if detail["type"] == "extra_forbidden" and (name := _suggestion(detail)):
        table.setdefault(name, value)


def _table(data: Any, path: KeyPath) -> Any:
    for step in path:
        data = data[step]
    return data


def _path(detail: ErrorDetails) -> KeyPath:
    return tuple(step for step in detail["loc"] if step != "[key]")


def _explain(detail: ErrorDetails, source: _Source) -> Problem:
    path = _path(detail)
    if change := changed(path, detail["input"]):
        return source.problem(
            path, f"this is of an older site file: {change.why}", f"gatepost site upgrade {source.name} shows what to write"
        )
    match detail["type"]:
        case "extra_forbidden":
            return source.problem(path, "there is no such key", nearest(str(path[-1]), _keys(path[:-1])))
        case "missing":
            return source.problem(
                path, "is missing", f"write {path[-1]} = ... in {dotted(path[:-1])}" if path[:-1] else f"add a section [{path[-1]}]"
            )
        case "literal_error" | "enum":
            valid = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
            return source.problem(path, f"{detail['input']!r} is not possible here", nearest(str(detail["input"]), valid))
        case "value_error":
            what, _, remedy = str(detail["ctx"]["error"]).partition("; ")
            return source.problem(path, what, remedy)
        case kind:
            return source.problem(path, PLAIN.get(kind, _sentence(detail["msg"])))


def _sentence(message: str) -> str:
    return message.removeprefix("Input ").removeprefix("Value ").removeprefix("String ")


def _suggestion(detail: ErrorDetails) -> str:
    match = re.fullmatch(r"did you mean (\S+)\?", nearest(str(detail["loc"][-1]), _keys(_path(detail)[:-1])))
    return match[1] if match else ""


def _keys(path: KeyPath) -> frozenset[str]:
    """The valid keys of the section at `path`, as they are written."""
    kind: Any = Site
    for step in path:
        kind = _inside(kind, step)
    return frozenset(_fields(kind))


def _fields(kind: Any) -> dict[str, FieldInfo]:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def _inside(kind: Any, step: str | int) -> Any:
    if fields := _fields(kind):
        return _bare(fields[str(step)].annotation) if step in fields else None
    arguments = [argument for argument in get_args(kind) if argument is not Ellipsis]
    return _bare(arguments[-1]) if arguments else None


def _bare(kind: Any) -> Any:
    """A type without Annotated and without None."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        return _bare(next(_not_none(kind)))
    return kind


def _not_none(kind: Any) -> Iterator[Any]:
    return (argument for argument in get_args(kind) if argument is not type(None))
