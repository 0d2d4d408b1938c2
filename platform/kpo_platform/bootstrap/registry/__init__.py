"""Registry credentials and pull secrets."""
