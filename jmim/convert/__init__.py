"""How arrays of others are matched, read and written; names no family."""
