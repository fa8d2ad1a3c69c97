"""Judge what a model said: text → command → scores."""
