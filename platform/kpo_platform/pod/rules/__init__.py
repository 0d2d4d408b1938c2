"""Rules for pods and arguments: each check yields refusals."""
