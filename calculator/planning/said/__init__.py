"""What is said of an answer: notes, and why it does not fit."""
