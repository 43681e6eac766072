"""The public names of both packages, with their types."""

import circuits as circuits
import probe as probe
from circuits import *
from probe import *

__version__: str
