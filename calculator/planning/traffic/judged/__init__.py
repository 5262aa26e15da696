"""What the speed model says held against published sweeps."""
