"""The way of a mail; read `pipeline.py` first."""
