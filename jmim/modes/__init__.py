"""One file per --mode; no mode imports another."""
