"""The commands of the REPL: what each does (a file for each subject), and the one table of them."""

from .leaving import Quit, Switch
from .line import call_of, peer_of
from .table import COMMANDS

__all__ = ["COMMANDS", "Quit", "Switch", "call_of", "peer_of"]
