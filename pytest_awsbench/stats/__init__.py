"""Gate statistics: pure functions on arrays; no I/O, no randomness."""
