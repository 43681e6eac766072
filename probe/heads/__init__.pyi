"""The public names of `probe.heads`; see `probe.public`."""

from probe.heads.patterns import LARGEST as LARGEST
from probe.heads.patterns import METRICS as METRICS
from probe.heads.patterns import HeadPatterns as HeadPatterns
from probe.heads.patterns import head_metrics as head_metrics
from probe.heads.patterns import head_patterns as head_patterns
from probe.heads.patterns import require_room as require_room
