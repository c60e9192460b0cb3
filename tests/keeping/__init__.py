"""Backups, checks, exports and imports of a store."""
