"""Attention with heads whose number, sizes or place in the config no column says."""
