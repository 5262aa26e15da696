"""Two plans side by side: what differs, and which change of what was asked makes it."""
