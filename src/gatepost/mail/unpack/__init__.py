"""Opening everything that can be opened, under one budget."""

from gatepost.mail.unpack.walk import Unpacked, walk

__all__ = ["Unpacked", "walk"]
