"""Programs that have ended without success."""
