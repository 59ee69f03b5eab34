"""What the site is: one declared file, read once, checked whole, then frozen."""
