"""Evasive mails of our own making, and honest ones that look like them; none of these techniques is in the developers' suite."""
