"""``python -m deployserver`` is the ``deployserver`` command."""

import sys

from deployserver.cli import main

if __name__ == "__main__":
    sys.exit(main())
