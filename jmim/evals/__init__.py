"""One file per evaluator; it knows nothing of methods."""
