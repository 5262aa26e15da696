"""Grids of plans: axes of any keyword, the measures of every point, a tidy DataFrame around them."""
