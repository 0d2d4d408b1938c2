"""What the triggerer may run: class paths and arguments of tasks' triggers."""
