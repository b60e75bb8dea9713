"""What decides about volumes: which there are, whose they are, what they need and may change."""
