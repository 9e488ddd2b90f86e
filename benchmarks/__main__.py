"""``python -m benchmarks``: see ``benchmarks.compare``."""

import sys

from benchmarks.compare import main

sys.exit(main())
