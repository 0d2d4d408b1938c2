"""Tools for those who change the platform: see a change in seconds."""
