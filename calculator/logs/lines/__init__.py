"""The lines of a log: records made whole, what one line says, and which start they are of."""
