"""What methods are made of: frozen dataclasses of fields, never subclassed."""
