"""What evaluators stand on."""
