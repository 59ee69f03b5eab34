"""Every dependency stands in the documentation, with its reason."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = re.compile(r"[A-Za-z0-9._-]+")


def named(requirement: str) -> str:
    match = NAME.match(requirement)
    assert match
    return match[0]


def test_every_python_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    cells = {
        word.strip()
        for row in re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)
        for word in row.split(",")
    }

    assert sorted({named(requirement) for found in lists for requirement in found} - cells) == []


def test_every_debian_package_that_the_script_installs_is_explained() -> None:
    script = (ROOT / "scripts/system-packages").read_text()
    packages = {word for line in re.findall(r'^(?:run|test)="([^"]*)"', script, re.MULTILINE) for word in line.split() if word != "$run"}
    cells = {
        word.strip()
        for row in re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)
        for word in row.split(",")
    }

    assert sorted(packages - cells) == []
