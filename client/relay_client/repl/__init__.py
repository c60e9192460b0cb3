"""`relay-repl`: the relay at an interactive prompt. `main` is its entry point."""

from .app import main

__all__ = ["main"]
