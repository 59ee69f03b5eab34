"""The file in which an interview is kept between two questions.

Not its job: what it means (`form`).
Raises: `form.FormError` for a file that is no assessment, `OSError` when it cannot be read or written.
"""

from __future__ import annotations

from pathlib import Path

from gatepost.assess import form
from gatepost.assess.model import Assessment
from gatepost.system.files import make_directory, write_atomic

NAME = "assessment.toml"
"""How the file is called."""


def path_in(state: Path) -> Path:
    """The file in the state folder of a site; it lies with what the console may write, since people answer in the browser."""
    return state / "console" / NAME


def load(path: Path) -> Assessment:
    """The assessment in the file; an empty one when there is no file yet."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Assessment()
    return form.read(text)


def save(path: Path, assessment: Assessment) -> None:
    """Write the file, whole or not at all."""
    make_directory(path.parent)
    write_atomic(path, form.written(assessment).encode())
