"""What is printed without a run: lists, help, completion.

Imports `core` and, for flags, `modes`.
"""
