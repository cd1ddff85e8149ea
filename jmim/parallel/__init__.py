"""Meshes, hosts and chips: where arrays lie and who computes."""
