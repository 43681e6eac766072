"""The public names of `probe.neurons`; see `probe.public`."""

from probe.neurons.strongest import TopUnits as TopUnits
from probe.neurons.strongest import UnitRow as UnitRow
from probe.neurons.strongest import top_units as top_units
from probe.neurons.unit_writes import UnitStack as UnitStack
from probe.neurons.unit_writes import latent_stack as latent_stack
from probe.neurons.unit_writes import logit_effects as logit_effects
from probe.neurons.unit_writes import neuron_stack as neuron_stack
