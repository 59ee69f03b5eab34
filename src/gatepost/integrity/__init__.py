"""What changed that nobody meant to change, and a canary that proves the report is real."""
