"""Which flags fit this model on this hardware."""
