"""Thin shells over the operating system: files, processes, workers, privileges, clock."""
