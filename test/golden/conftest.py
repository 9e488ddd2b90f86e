"""The golden checks also run as a script: their modules import one another by plain name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
