"""Our own engines and the clients for foreign ones; each registers like a plug-in."""
