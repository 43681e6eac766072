"""The public names of `probe.lens`; see `probe.public`."""

from probe.lens.logit import LensPlan as LensPlan
from probe.lens.logit import LensResult as LensResult
from probe.lens.logit import logit_lens as logit_lens
from probe.lens.logit import plan_lens as plan_lens
