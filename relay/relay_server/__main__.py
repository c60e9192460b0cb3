"""`python -m relay_server`: the daemon without the rest of the command line."""

from .cli import serve

serve(prog_name="relay serve")
