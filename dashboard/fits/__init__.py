"""What stands under the answer of the landing page: its tabs."""
