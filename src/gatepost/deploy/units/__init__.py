"""The services of a host: users, folders, hardened units of systemd, log rotation, all from the site and the role of the host."""
