"""Models: what is configured, how it is loaded, and how it answers."""
