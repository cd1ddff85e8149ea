"""Schedules, processes, solvers, samplers; arrays only, it knows no network."""
