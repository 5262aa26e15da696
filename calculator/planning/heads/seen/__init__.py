"""A number that one has seen: what it can mean, whether it is right, and which single mistakes give it."""
