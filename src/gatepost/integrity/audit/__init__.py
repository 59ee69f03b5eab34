"""The audit of a host against its role: what is installed, listens, runs, may become root, and who may get in."""
