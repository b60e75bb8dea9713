"""Opening a volume: the loop, the pipeline, statistics."""
