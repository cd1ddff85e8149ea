"""One file per paper or library: the names of its arrays, and its families."""
