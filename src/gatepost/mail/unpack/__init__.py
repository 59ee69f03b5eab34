"""Opening everything that can be opened, under one budget."""
