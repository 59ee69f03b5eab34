"""What the SMTP server and the SMTP client share: lines, replies, addresses, parameters. Pure; no I/O, no clock."""
