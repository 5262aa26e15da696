"""The proof: how far off the answers have been, on public figures of the engines."""
