"""Registry credentials, login checks and pull secrets."""
