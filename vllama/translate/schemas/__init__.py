"""A client's JSON schema, written again for the engine's grammar. Pure."""
