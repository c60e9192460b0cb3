"""`python -m relay_client.repl`, for where the `relay-repl` script is not on the path."""

import sys

from .app import main

sys.exit(main())
