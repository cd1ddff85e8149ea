"""The pure step: gradient, optimizer, schedule."""
