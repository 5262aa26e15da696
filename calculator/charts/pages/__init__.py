"""Charts of the pages about a log and about the method."""
