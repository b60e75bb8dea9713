"""Desired and observed state, kept in lmdb."""
