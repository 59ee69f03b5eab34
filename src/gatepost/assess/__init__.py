"""The risk interview, its score, and the site it proposes."""
