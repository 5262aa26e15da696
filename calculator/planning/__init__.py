"""Question to answer: what a plan holds, why, and what would change it; plan files, sweeps and traffic."""

SCHEMA_VERSION = 1
"""Of the JSON of reports."""
