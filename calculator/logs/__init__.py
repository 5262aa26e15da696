"""What an engine printed: read, set beside its plan, explained; and how far off plans of public logs were."""
