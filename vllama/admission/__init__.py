"""Who goes next, and how many may wait."""
