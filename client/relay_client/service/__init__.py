"""A relay as a service of this user: where its files are, what systemd and launchd are told, and whether all is well.

`relay setup`, `relay daemon`, `relay doctor` and `relay upgrade` are made of these parts. Nothing here imports the
relay itself: what is known of it is its command line and its settings.
"""
