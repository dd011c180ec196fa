"""``python -m coreecho``: the command line without an installed script."""

import sys

from coreecho.cli import main

sys.exit(main())
