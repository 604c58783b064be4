"""What requests used, by key, person, model and day: kept in a database, priced, reported and deleted."""
