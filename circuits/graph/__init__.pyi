"""The public names of `circuits.graph`; see `probe.public`."""

from circuits.graph.graph import KINDS as KINDS
from circuits.graph.graph import ROOTS as ROOTS
from circuits.graph.graph import UNITS as UNITS
from circuits.graph.graph import CircuitGraph as CircuitGraph
from circuits.graph.graph import Edges as Edges
from circuits.graph.graph import Kinds as Kinds
from circuits.graph.graph import Nodes as Nodes
from circuits.graph.graph import of_kinds as of_kinds
