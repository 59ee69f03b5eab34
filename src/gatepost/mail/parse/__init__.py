"""Reading a mail as every plausible reader would, by offsets into the raw bytes."""
