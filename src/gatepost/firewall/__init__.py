"""The firewall: declared, compiled, proved, explained."""
