"""Draw about so many tokens of text from a model and store them by name: the tool `openwork sample`. How they are drawn:
`probe.text.model_samples`.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from probe.doc import Doc
from probe.errors import BadInput
from probe.methods import tool
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.text.drawn_documents import SampleConfig
from probe.text.model_samples import SampledText, SamplePlan, plan_sample, sample_text

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def sample_name() -> str:
    """There is none that is made of what was asked: two samples of a model are asked for alike."""
    raise BadInput("Say what the sample is called: --name NAME. Harvesting reads it as --text sample:NAME.")


def plan_draw_sample(model: "TransformerBridge", tokens: int = 50_000, **config: Any) -> SamplePlan:
    """What `draw_sample` would take."""
    settings = SampleConfig(**config)
    return plan_sample(model, math.ceil(tokens / settings.length), config=settings)


@tool("sample", leaves="text", plan="plan_draw_sample", named="sample_name")
@takes_fields("config", SampleConfig)
def draw_sample(
    model: "TransformerBridge",
    *,
    folder: str | Path,
    tokens: Annotated[int, Doc("About this many tokens, in whole documents.", least=1)] = 50_000,
    config: SampleConfig = SampleConfig(),
    resume: bool = False,
    progress: Progress = SILENT,
) -> SampledText:
    """Draw documents from a model and keep them, to harvest from (as the text sample:NAME) and to judge dictionaries on.

    resume: continue an unfinished sample of these settings, or open it if it is finished.

    >>> ow.draw_sample(model, folder=folder, tokens=16, length=8).n_documents
    2
    """
    documents = math.ceil(tokens / config.length)
    return sample_text(model, folder, documents, config=config, resume=resume, progress=progress)
