"""Reading a mail as every plausible reader would, by offsets into the raw bytes."""

from gatepost.mail.parse.reader import Reading, read
from gatepost.mail.parse.structure import Entity

__all__ = ["Entity", "Reading", "read"]
