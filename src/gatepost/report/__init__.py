"""What an administrator and a managing director read."""
