"""A module a command: its flags, and what it prints of the answer."""
