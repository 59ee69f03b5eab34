"""The verbs of the command line, a file per subject: each parses its arguments and makes one call."""
