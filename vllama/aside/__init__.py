"""Work beside the event loop, in processes that are really ended when it takes too long."""
