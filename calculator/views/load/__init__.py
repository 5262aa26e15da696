"""A plan under load: what of real traffic fits at a risk, and how fast it is served."""
