"""Reports that people look at, made of a finished run's files."""
