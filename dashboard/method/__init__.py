"""What the page of the method shows: how far off answers have been, and how they are made."""
