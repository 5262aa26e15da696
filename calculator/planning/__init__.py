"""planning."""

SCHEMA_VERSION = 1
"""Of the JSON of reports."""
