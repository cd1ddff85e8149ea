"""Scenes in space, from images."""
