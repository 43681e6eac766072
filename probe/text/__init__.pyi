"""The public names of `probe.text`; see `probe.public`."""

from probe.text.documents import BUNDLED as BUNDLED
from probe.text.documents import Document as Document
from probe.text.documents import corpus as corpus
