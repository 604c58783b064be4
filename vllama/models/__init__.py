"""Names, what is on disk, and what the files say about it."""
