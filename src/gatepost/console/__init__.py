"""The web console and its HTTP API: reads the journal, asks the keeper to act."""
