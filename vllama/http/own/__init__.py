"""Routes of our own: every engine, and the metrics."""
