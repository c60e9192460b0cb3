"""`python -m relay_client.cli`, for where the `relay` script is not on the path."""

import sys

from .app import main

sys.exit(main())
