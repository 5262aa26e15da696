"""Real traffic on a plan: lengths of requests, what a pool holds of them at a risk, and how fast."""
