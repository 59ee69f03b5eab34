"""What happened: events in a hash chain, the store that keeps them, counts over them."""
