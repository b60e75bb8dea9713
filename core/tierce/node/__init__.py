"""One machine: the supervisor and the processes that it runs."""
