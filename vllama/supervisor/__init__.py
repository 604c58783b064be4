"""Every engine's life, owned by one loop."""
