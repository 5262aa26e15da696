"""The page of comparison: what is other, what differs, and what brings it back."""
