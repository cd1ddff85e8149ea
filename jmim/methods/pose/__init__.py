"""Poses of bodies: distributions of joints given images or heatmaps."""
