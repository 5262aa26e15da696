"""What do I need: what is asked, the search, and what it found."""
