"""What every process of a node is made of: its loop, its messages, its paths, its log, its plan."""
