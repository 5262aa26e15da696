"""Plans side by side: what differs, and the same request on other engines and versions."""
