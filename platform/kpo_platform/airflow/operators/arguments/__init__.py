"""Read and check operator arguments, and turn them into pod fields."""
