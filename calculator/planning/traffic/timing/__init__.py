"""How long a step of one replica takes, and what of it is measured."""
