"""Traits that several types share, where a row cannot say them."""
