"""What the tests of harvesting share: a token set of a few documents, and the sites."""

import torch

from probe.text.tokens import TokenSet

CONTEXT = 12
SITES = ["mlp_in.2", "mlp_out.2", "resid_post.1"]


def token_set(rows: int = 14, seed: int = 0) -> TokenSet:
    """Rows of the toy's tokens, from documents of one to three rows; each begins with BOS, some end in padding."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(3, 300, (rows, CONTEXT), generator=generator)
    special = torch.zeros(rows, CONTEXT, dtype=torch.bool)
    tokens[:, 0], special[:, 0] = 1, True
    tokens[2::3, -4:], special[2::3, -4:] = 0, True
    doc = torch.tensor([i for i in range(rows) for _ in range(i % 3 + 1)][:rows], dtype=torch.int32)
    return TokenSet(
        tokens=tokens, doc=doc, documents=[f"document {i}" for i in range(int(doc[-1]) + 1)], special=special
    )
