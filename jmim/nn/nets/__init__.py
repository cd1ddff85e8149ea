"""Backbones: what turns an input into tokens, maps or images."""
