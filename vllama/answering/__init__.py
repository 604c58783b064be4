"""The one path from a call to an answer, for all APIs; it knows no HTTP."""
