"""What a program costs, counted before or after it runs."""
