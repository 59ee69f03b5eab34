"""Long measurements of the firewall, each run as `python -m tests.firewall.long.NAME`; short forms of them are ordinary tests."""
