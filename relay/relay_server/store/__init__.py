"""The truth: what was accepted, and who holds what."""
