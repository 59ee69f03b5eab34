"""The doctor: what is wrong with this installation, each with its cause and remedy; `table` lists all checks."""
