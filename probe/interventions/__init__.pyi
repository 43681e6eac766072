"""The public names of `probe.interventions`; see `probe.public`."""

from probe.interventions.places import Place as Place
from probe.interventions.places import Where as Where
from probe.interventions.places import head as head
from probe.interventions.places import neuron as neuron
from probe.interventions.places import place as place
from probe.interventions.places import require_named_unit as require_named_unit
from probe.interventions.places import where_name as where_name
from probe.interventions.running import intervene as intervene
from probe.interventions.values import Clamp as Clamp
from probe.interventions.values import Freeze as Freeze
from probe.interventions.values import Function as Function
from probe.interventions.values import Intervention as Intervention
from probe.interventions.values import Knockout as Knockout
from probe.interventions.values import Mean as Mean
from probe.interventions.values import Patch as Patch
from probe.interventions.values import Scale as Scale
from probe.interventions.values import Splice as Splice
from probe.interventions.values import Steer as Steer
from probe.interventions.values import Zero as Zero
from probe.interventions.values import like as like
