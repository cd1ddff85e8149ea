"""What spoils an image: pure functions of it and of numbers that were drawn."""
