"""The one way from a call to an answer, for all dialects; it knows no HTTP."""
