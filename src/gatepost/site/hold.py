"""The hold section of the site file: who may approve that mail of a person is kept and read in a case of law.

Raises: pydantic's ValidationError, which `gatepost.site.load` turns into messages with line numbers.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gatepost.site.base import Duration, Section


class Approver(Section):
    """One person who may approve. Both keys are public halves; the private ones never come to this machine but to sign or to open."""

    key: str = Field(pattern=r"^ed25519 [A-Za-z0-9+/]{43}=$")
    """Signs approvals: "ed25519 ...", made with gatepost integrity key."""
    age: str = Field(pattern=r"^age1[0-9a-z]{58}$")
    """What is kept is encrypted to it: "age1...", made with age-keygen or gatepost hold identity."""


class Hold(Section):
    """The lawful hold. Off: without two approvers nothing can be asked for.

    Two of the approvers must sign each hold, which names one address, a time and an end; what it keeps is encrypted so that both are needed
    to open it.
    """

    approvers: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")], Approver] = Field(default_factory=dict)
    longest: Duration = 90 * 86_400.0
    """How long a hold may last at most."""
