"""A plan under load, drawn."""
