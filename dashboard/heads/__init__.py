"""The page of KV heads: what is asked, the charts that move together, evidence, claims, and why."""
