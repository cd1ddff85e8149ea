"""What is done every so many steps of a run: one file each."""
