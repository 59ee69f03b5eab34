"""The mail transfer agent in the services network: from the site to its configuration."""
