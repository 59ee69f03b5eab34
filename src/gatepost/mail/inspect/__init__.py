"""Asking engines: the contract, the registry, who sees what, deadlines. Silence becomes a finding."""
