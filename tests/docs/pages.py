"""`python -m tests.docs.pages` prints the two pages of reference from the code: the site file from its models, the commands from their help.

A test compares the pages with what this makes, so that reference and code cannot part.
"""

from __future__ import annotations

import ast
import datetime as dt
import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer import rich_utils
from typer.testing import CliRunner

from gatepost.cli.main import SUBJECTS
from gatepost.site.base import BYTES, SECONDS, RateLimit
from gatepost.site.model import Site

MANUAL = Path(__file__).resolve().parent.parent.parent / "docs/manual"
WIDTH = 100
AGAIN = "make it again with: .venv/bin/python -m tests.docs.pages"

SITE_HEAD = """# The site file

Everything that Gatepost does follows from one file, `site.toml`, in [TOML](https://toml.io).
This page is printed from the code that reads the file; a test compares the two.
`gatepost site check` names every mistake with its line; `gatepost site show` prints the file with all defaults.
Unknown keys are mistakes.
The smallest site file stands in [the tutorial](tutorial.md#3-a-gateway-that-takes-mail); a whole one is `examples/widget/site.toml`.

How values are written: a *duration* is a number and a unit s, m, h, d or w (`"30d"`); a *size* is a number and a unit K, M, G or T (`"50M"`);
a *socket* is `"unix:/full/path"` or `"host:port"`; a *list* stands in brackets.
"""

COMMANDS_HEAD = """# The commands

Each command with its own help, as `--help` prints it; a test compares the two.
Commands that look at a site take `--site FILE`; without it they read the environment variable `GATEPOST_SITE`, then `/etc/gatepost/site.toml`, where their help says so.
"""

WORDS = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Duration": "duration",
    "Size": "size",
    "Domain": "domain",
    "Address": "address",
    "HostPort": "host:port",
    "Listener": "host:port, or nothing",
    "Socket": "socket",
    "FilePath": "full path",
    "AbsolutePath": "full path",
    "Network": "network",
    "Names": "list of names, or one name",
    "Ports": 'port or range ("7-9")',
    "Label": "name in small letters",
    "Software": "list of names in small letters, or one",
    "Reason": "text of 8 characters or more",
    "Owner": "text",
    "Severity": "whole number",
    "Name": "text",
    "date": "date",
}


def site_page() -> str:
    """The reference of the site file."""
    return SITE_HEAD + "".join(_sections(Site, ())) + "\n"


def _sections(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    for key, field in model.model_fields.items():
        found = _section_of(field.annotation)
        if found is None:
            continue
        inner, kind = found
        name = ".".join((*path, field.alias or key, *(["NAME"] if kind is dict else [])))
        yield _section(f"[[{name}]]" if kind is tuple else f"[{name}]", inner)
        yield from _sections(inner, tuple(name.split(".")))


def _section_of(annotation: Any) -> tuple[type[BaseModel], type] | None:
    """The model in an annotation, and whether there is one of it, several by name (dict) or a list (tuple)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, type
    models = [one for one in get_args(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
    return (models[0], get_origin(annotation)) if models else None


def _section(title: str, model: type[BaseModel]) -> str:
    rows = [_row(key, field, *_source(model, key)) for key, field in model.model_fields.items() if _section_of(field.annotation) is None]
    more = "\nOther keys belong to the engine and are checked by it.\n" if model.model_config.get("extra") == "allow" else ""
    head = f"\n## {title}\n\n{_prose(inspect.getdoc(model) or '')}\n{more}"
    return head + ("\n| key | value | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n" if rows else "")


def _prose(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _row(key: str, field: FieldInfo, annotation: str, meaning: str) -> str:
    return f"| `{field.alias or key}` | {annotation} | {_default(field, annotation)} | {_prose(meaning)} |"


def _source(model: type[BaseModel], key: str) -> tuple[str, str]:
    """How the source declares a field: its type in words, and the docstring below it."""
    for owner in model.__mro__:
        tree = ast.parse(inspect.getsource(owner)).body[0]
        assert isinstance(tree, ast.ClassDef)
        for node, after in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == key:
                told = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
                return _words(node.annotation, sys.modules[owner.__module__]), str(told)
    raise LookupError(key)


def _words(node: ast.expr, module: ModuleType) -> str:
    """A type in words."""
    match node:
        case ast.BinOp(left=left, right=ast.Constant(value=None)):
            return _words(left, module)
        case ast.Subscript(value=ast.Name(id="Literal")):
            return _choice(eval(ast.unparse(node), {"Literal": Literal}))
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Tuple(elts=[first, second, *_])):
            inner = _words(first, module)
            return {"Annotated": inner, "tuple": f"list of: {inner}"}.get(name) or f"table: {inner} = {_words(second, module)}"
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return _named(name, module)
    raise LookupError(ast.unparse(node))


def _named(name: str, module: ModuleType) -> str:
    if name == "Rate":
        return 'rate ("10/second")' if module.__name__ == "gatepost.site.network" else 'rate ("100/m")'
    return WORDS.get(name) or _choice(getattr(module, name))


def _choice(literal: Any) -> str:
    if get_origin(literal) is not Literal:
        raise LookupError(repr(literal))
    return "one of " + ", ".join(f"`{choice}`" for choice in get_args(literal))


def _default(field: FieldInfo, words: str) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}, ""):
        return ""
    return f"`{_written(value, words)}`"


def _written(value: Any, words: str) -> str:
    """A value as one would write it in the file."""
    if words == "duration":
        return f'"{_in_units(value, SECONDS)}"'
    if words == "size":
        return f'"{_in_units(value, BYTES)}"'
    if isinstance(value, RateLimit | dt.date):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_written(one, '') for one in value)}]"
    return json.dumps(value)


def _in_units(value: float, units: dict[str, int]) -> str:
    unit, worth = max(((unit, worth) for unit, worth in units.items() if not value % worth), key=lambda pair: pair[1])
    return f"{value / worth:.0f}{unit}" if value else "0s"


def module(subject: str) -> str:
    """The file of a subject of the command line."""
    return subject.replace("-", "_")


def commands_page() -> str:
    """The reference of the commands."""
    rich_utils.MAX_WIDTH = WIDTH
    rich_utils.COLOR_SYSTEM = None
    return COMMANDS_HEAD + "".join(_subject(name) for name in sorted(SUBJECTS) if find_spec(f"gatepost.cli.{module(name)}"))


def _subject(name: str) -> str:
    app = import_module(f"gatepost.cli.{module(name)}").app
    return f"\n## gatepost {name}\n" + "".join(_help(app, words, name) for words in _verbs(typer.main.get_command(app)))


def _verbs(command: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """A command, then everything below it."""
    yield before
    for name, inner in getattr(command, "commands", {}).items():
        yield from _verbs(inner, (*before, name))


def _help(app: typer.Typer, words: Sequence[str], subject: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], prog_name=f"gatepost {subject}", terminal_width=WIDTH)
    assert result.exit_code == 0, (subject, words, result.output)
    text = "\n".join(line.rstrip() for line in result.output.strip("\n").splitlines())
    title = f"\n### gatepost {' '.join((subject, *words))}\n" if words else ""
    return f"{title}\n```text\n{text}\n```\n"


PAGES = {"site-file.md": site_page, "commands.md": commands_page}

if __name__ == "__main__":
    for name, made in PAGES.items():
        (MANUAL / name).write_text(made())
