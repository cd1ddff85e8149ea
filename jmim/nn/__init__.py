"""Layers; they know no method, no data, and no mesh beside their runtime."""
