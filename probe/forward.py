"""Read activations at chosen sites in one forward pass that stops as soon as the last of them was seen.

No logits are computed unless they were asked for. Values are the live tensors, not copies, unless an intervention
later in the same pass writes in place (ours never do).
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from probe.errors import OpenworkError
from probe.sites import Site, hook_name, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def unflattened(value: Tensor, site: Site, batch: int) -> Tensor:
    """The value with its batch and position axes apart; OPT runs its MLPs with the two flattened into one."""
    return value.view(batch, -1, *value.shape[1:]) if value.ndim == len(site.axes) - 1 else value


class _Enough(Exception):
    """Raised inside the forward pass once every wanted site was seen."""


def capture(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], sites: Iterable[str | Site], *, stop: bool = True
) -> dict[str, Tensor]:
    """Activations by canonical site name. With `stop`, the pass ends after the last needed site.

    Interventions in force apply. Raises BadInput for an unknown site and OpenworkError if one never fired.
    """
    wanted = sorted({parse_site(s, model) for s in sites}, key=lambda s: s.depth)
    found: dict[str, Tensor] = {}

    def reader(site: Site) -> Callable:
        def read(value: Tensor, hook: object) -> None:
            found[site.name] = unflattened(value, site, tokens.shape[0])
            if stop and len(found) == len(wanted):
                raise _Enough

        return read

    hooks = [(str(hook_name(site, model)), reader(site)) for site in wanted]
    with suppress(_Enough), torch.no_grad(), model.hooks(fwd_hooks=hooks):
        model(tokens)
    missing = [s.short for s in wanted if s.name not in found]
    if missing:
        raise OpenworkError(f"{', '.join(missing)} did not fire in the forward pass, so nothing was read there.")
    return {site.name: found[site.name] for site in wanted}
