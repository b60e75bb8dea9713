"""The server of one machine: it decides about volumes, keeps processes, answers commands."""
