"""Work outside the event loop, in processes that can be killed when it takes too long."""
