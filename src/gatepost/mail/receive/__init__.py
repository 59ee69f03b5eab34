"""Taking mail: the milter and SMTP protocols, without I/O, and the servers that drive them."""
