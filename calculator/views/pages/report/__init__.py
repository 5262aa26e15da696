"""A report: an answer as one page to print or to save, drawn from the views' rows; nothing in it is loaded or run."""
