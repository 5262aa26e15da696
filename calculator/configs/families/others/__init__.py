"""Makers of few types, by the letter of the type."""
