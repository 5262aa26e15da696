"""From a load to hardware: one replica under a load, what can be bought, and the search over it."""
