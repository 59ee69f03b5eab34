"""From findings to one disposition for each recipient, by a table; pure and total."""
