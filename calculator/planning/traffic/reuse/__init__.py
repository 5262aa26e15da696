"""Tokens that are not computed twice: shared prefixes, and a host's memory as a second tier."""
