"""Stand-ins and generators that tests share."""
