"""The house rules that no other tool checks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
FUNCTION_LINES = 50
FILE_LINES = 500
REFERENCE = re.compile(r"\bRFC (\d{3,5})\b")
EDGES = ("services", "system")
"""Only at the edge of a process may everything be caught."""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def catches_all(handler: ast.ExceptHandler) -> bool:
    names = [] if handler.type is None else [ast.unparse(handler.type)]
    return handler.type is None or bool({"Exception", "BaseException"} & set(re.findall(r"\w+", " ".join(names))))


def test_files_and_functions_stay_small_enough_to_read() -> None:
    too_long = []
    for path in SOURCES:
        text = path.read_text()
        if text.count("\n") > FILE_LINES:
            too_long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for function in functions(ast.parse(text)):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES:
                too_long.append(f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: {lines} lines")

    assert too_long == []


def test_nobody_catches_everything_but_at_the_edge_of_a_process() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        if not set(EDGES) & set(path.relative_to(ROOT / "src/gatepost").parts[:1])
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and catches_all(node) and not _raises_again(node)
    ]

    assert found == []


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """A handler that cleans up and raises the same again hides nothing."""
    return isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None


def test_every_rfc_that_the_code_names_is_in_the_table_of_standards() -> None:
    table = (ROOT / "docs/standards.md").read_text()
    named = {number for path in SOURCES for number in REFERENCE.findall(path.read_text())}

    assert sorted(number for number in named if not re.search(rf"\| *{number} *\|", table)) == []


def test_every_subject_of_the_command_line_has_its_file_and_an_example() -> None:
    from gatepost.cli.main import SUBJECTS

    files = {name: ROOT / f"src/gatepost/cli/{name.replace('-', '_')}.py" for name in SUBJECTS}
    missing = [name for name, path in files.items() if not path.exists()]
    silent = [name for name, path in files.items() if path.exists() and "Example" not in path.read_text()]

    assert missing == []
    assert silent == []


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX"])
def test_nothing_is_left_for_later_in_the_code(word: str) -> None:
    assert [path.name for path in SOURCES if re.search(rf"\b{word}\b", path.read_text())] == []
