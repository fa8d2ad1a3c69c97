"""The embedded environment: an OpenEnv server, in a process of its own."""
