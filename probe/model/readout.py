"""A stream read out as the model reads its last one: through its final norm, unembedding, multiplier and soft-cap.

transformer-lens's `logit_readout` does it, and refuses models whose readout is something else; here that is a sentence.
"""

from typing import TYPE_CHECKING, Any

from torch import Tensor

from probe.errors import BadInput

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def read_out(model: "TransformerBridge", resid: Tensor, **options: Any) -> Tensor:
    """Logits or log-probabilities (`return_type`) of streams. BadInput where the model does not read them so."""
    from transformer_lens.tools.analysis.logit_lens import logit_readout

    try:
        return logit_readout(model, resid, **options).values
    except (ValueError, NotImplementedError, AttributeError) as error:
        raise BadInput(
            "This model does not read its logits through a final norm and an unembedding alone "
            f"({(str(error).splitlines() or [''])[0][:200]}), so what its layers would predict cannot be read."
        ) from error
