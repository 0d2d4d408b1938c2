"""What a task's token may do: every request to the Execution API, judged by team."""
