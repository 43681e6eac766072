"""The public names of both packages, with their types."""

import circuits as circuits
import probe as probe
from circuits import *
from probe import *
from probe.methods.call import Call as Call
from probe.methods.call import call_of as call_of
from probe.methods.catalogue import methods as methods

__version__: str
