"""Write a plan with ansible-runner."""
