"""Arrays to disk and back, verified."""
