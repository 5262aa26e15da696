"""catalogue/parts."""
