"""Plan, apply, confirm, roll back: all rooms as one transaction."""
