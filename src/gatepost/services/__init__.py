"""One file per running process: wiring only."""
