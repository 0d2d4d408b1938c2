"""Programs that cannot reach what they need."""
