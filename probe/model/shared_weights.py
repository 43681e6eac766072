"""A second model object with the same weights: hooks of its own, no second copy in memory.

A notebook and the dashboard's worker may run one model at the same moment. Hooks belong to module objects, so an intervention in
one would change the other's run. A twin shares every weight and buffer (edits in place are seen by both) and no module.
"""

import copy
from typing import TYPE_CHECKING

from probe.identity import set_name
from probe.model.anatomy import same_anatomy
from probe.model.fingerprint import stamp

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def copy_sharing_weights(model: "TransformerBridge") -> "TransformerBridge":
    """The twin of a model, without the hooks that the model may carry just now."""
    shared = [*model.parameters(), *model.buffers(), model.tokenizer]
    made = copy.deepcopy(model, {id(part): part for part in shared})
    made.reset_hooks(including_permanent=True)
    set_name(made, stamp(model).name)
    same_anatomy(made, model)
    return made
