"""Sections of a config: each key with its default, documentation and limits.

A section is a frozen dataclass. Functions that are configured by one take an
instance of it, so that no default is written twice.
"""
