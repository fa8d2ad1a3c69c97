"""Suites: all items of one kind, and where their samples come from."""
