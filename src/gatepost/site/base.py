"""The common ground of all sections of the site file: frozen, and strict about keys that nobody knows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of the site file. Unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)
