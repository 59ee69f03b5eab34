"""The file in which an interview is kept between two questions.

Not its job: what it means (`form`).
Raises: `form.FormError` for a file that is no assessment, `OSError` when it cannot be read or written.
"""

from __future__ import annotations

from pathlib import Path

from gatepost.assess import form
from gatepost.assess.model import Assessment
from gatepost.system.files import write_atomic

NAME = "assessment.toml"
"""The file in the state folder of a site."""


def load(path: Path) -> Assessment:
    """The assessment in the file; an empty one when there is no file yet."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Assessment()
    return form.read(text)


def save(path: Path, assessment: Assessment) -> None:
    """Write the file, whole or not at all."""
    write_atomic(path, form.written(assessment).encode())
