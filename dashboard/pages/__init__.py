"""The pages: a question each, with an address of its own."""
