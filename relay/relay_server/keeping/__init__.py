"""Keeping: backups, checks, exports and imports of a store, with a running relay or without one."""
