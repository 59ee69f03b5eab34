"""The report section of the site file: what management reads, with the assumptions that stand printed in it.

Not its job: any number that can be counted; those come from the journal.
Raises: pydantic's ValidationError, which `gatepost.site.load` turns into messages with line numbers.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gatepost.site.base import Address, Section


class Report(Section):
    """The page for management: its assumptions, and who gets it.

    `to` gets it by mail from gatepost report send.
    `clean_up_hours` is what one infected machine would have cost, 0 leaves time and money out; `hour_costs` is the price of an hour in
    `currency`, 0 leaves money out.
    """

    to: tuple[Address, ...] = ()
    clean_up_hours: Annotated[float, Field(ge=0, le=1000)] = 2.0
    hour_costs: Annotated[float, Field(ge=0)] = 0.0
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
