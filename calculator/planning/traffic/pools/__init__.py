"""Pools of blocks under traffic: what residents take of them, how many fit at a risk, and who is thrown out."""
