"""Live environments: what they are, how to reach one, and one of our own."""
