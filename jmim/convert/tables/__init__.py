"""One file per paper or library: names of arrays; its `FAMILIES` at the end.

A file that begins with an underscore holds what some of them share.
"""
