"""A page about runs; it reads workdirs and knows nothing else of a run."""
