"""Gatepost: the whole network perimeter of an organisation as one declared, proven and running system.

Read `docs/flow.md` first; the way of a mail is `gatepost.mail.pipeline`.
"""

__version__ = "0.1.0"
