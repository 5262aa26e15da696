"""What the page of one plan says: how the answer stands to what was asked, its formula, what would change it."""
