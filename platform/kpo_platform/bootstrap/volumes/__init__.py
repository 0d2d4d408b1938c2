"""Volume claims."""
