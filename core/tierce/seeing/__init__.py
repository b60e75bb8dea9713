"""What the counters and records of a volume come to: how it was between two looks, and why."""
