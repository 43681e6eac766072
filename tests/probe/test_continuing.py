"""Texts that grow side by side without hooks: the logits of a whole pass, rows that do not know of each other, right draws."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy.stats import chisquare
from tiny import tiny

from probe.artifacts.folder import place
from probe.errors import BadInput
from probe.interventions.running import intervene
from probe.interventions.values import Zero
from probe.model.continuing.one_query import one_query
from probe.model.continuing.texts import Growing, Texts
from probe.model.key_value_cache import NextToken
from probe.text.model_samples import sample_text
from probe.text.sampling import Choice, draw

IDS = torch.randint(3, 400, (5, 20), generator=torch.Generator().manual_seed(3))
STARTS = [[1, 5], [1, 9, 30, 7, 44, 12], [1], [1, 8, 8]]


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox", "gemma2", "gemma3", "qwen3"])
def test_logits_are_those_of_a_whole_pass(name: str) -> None:
    model = tiny(name, "float32")
    texts = Texts(model)
    grown, rows = texts.begin(20), torch.arange(5)
    assert isinstance(grown, Growing)
    with torch.no_grad():
        wanted = model(IDS)
    for n in [4, *range(5, 20)]:
        assert (grown(IDS[rows, :n]) - wanted[rows, n - 1]).abs().max() < 1e-4 * max(1, float(wanted.abs().max()))
        if n == 11:
            rows = torch.tensor([0, 2, 3])
            assert grown.keep(rows)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_documents_of_unequal_beginnings_are_as_if_alone(name: str) -> None:
    model = tiny(name)
    texts, anew = Texts(model), Texts(model, cached=False)
    together = [ids for ids, _ in draw(texts, range(4), 8, starts=STARTS)]
    alone = [ids for i in range(4) for ids, _ in draw(anew, range(i, i + 1), 8, starts=[STARTS[i]])]
    assert together == alone
    others = [[1, 60, 61, 62], STARTS[1], [1, 70], [1]]
    assert [ids for ids, _ in draw(texts, range(4), 8, starts=others)][1] == together[1]


def test_a_hook_in_force_is_in_what_is_drawn() -> None:
    model = tiny("llama")
    drawn = [ids for ids, _ in draw(model, range(4), 8)]
    with intervene(model, [Zero("mlp_out.1")]):
        texts = Texts(model)
        assert isinstance(texts.begin(8), NextToken)
        changed = [ids for ids, _ in draw(texts, range(4), 8)]
    assert drawn != changed
    assert drawn == [ids for ids, _ in draw(model, range(4), 8)]
    with torch.no_grad():  # weights are shared, so what is edited in them is drawn too
        model.blocks[1].mlp.W_out.mul_(-1)
        assert [ids for ids, _ in draw(model, range(4), 8)] != drawn
        model.blocks[1].mlp.W_out.mul_(-1)


def test_one_query_is_attention() -> None:
    q, k, v = torch.randn(2, 6, 8), torch.randn(2, 3, 9, 8)[:, :, :7], torch.randn(2, 3, 9, 8)[:, :, :7]
    wanted = torch.nn.functional.scaled_dot_product_attention(
        q[:, :, None], k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), scale=1.0
    )
    torch.testing.assert_close(one_query(q, k, v), wanted[:, :, 0])


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.0, 0.7), (1.4, 0.9)])
def test_draws_follow_the_softmax(temperature: float, top_p: float) -> None:
    n, size = 20_000, 300  # no whole number of blocks
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(size, generator=generator)
    uniform = torch.rand(n, generator=generator, dtype=torch.float64)
    chosen, nats = Choice(temperature, top_p)(logits.expand(n, size), uniform)
    torch.testing.assert_close(nats, -logits.double().log_softmax(0)[chosen], atol=1e-5, rtol=0)
    p = (logits.double() / temperature).softmax(0)
    order = p.argsort(descending=True)
    kept = order[: int((p[order].cumsum(0) < top_p).sum()) + 1]
    wanted = torch.zeros(size, dtype=torch.float64).index_put((kept,), p[kept] / p[kept].sum()).numpy()
    found = np.bincount(chosen.numpy(), minlength=size)
    assert found[wanted == 0].sum() == 0
    often = n * wanted >= 5
    table = [np.append(x[often], x[~often].sum()) for x in (found, n * wanted)]
    some = table[1] > 0
    assert chisquare(table[0][some], table[1][some]).pvalue > 0.01
    other = (logits.double() / (0.9 * temperature)).softmax(0).numpy()  # and the test would see another temperature
    if top_p == 1:
        assert chisquare(found[often], other[often] / other[often].sum() * found[often].sum()).pvalue < 1e-6


def test_a_number_at_the_end_falls_on_the_last_token_with_weight() -> None:
    logits = torch.tensor([[0.0, 1.0, -torch.inf]])
    for uniform, wanted in ((1 - 2**-53, 1), (0.0, 0)):
        assert Choice()(logits, torch.tensor([uniform], dtype=torch.float64))[0].tolist() == [wanted]


def test_a_sample_begins_as_it_is_told(toy, home: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"text": "When Mary and John went to the store"}\n{"text": "The war"}\n')
    options = {"length": 6, "start": str(prompts), "start_tokens": 5, "top_p": 0.9, "batch": 2}
    found = sample_text(toy, place("text", "begun"), 5, **options)
    rows = pq.read_table(found.folder / "text.parquet").to_pylist()
    whole = ["When Mary and John went to the store", "The war"]
    begun = [toy.tokenizer(p, add_special_tokens=False)["input_ids"][:5] for p in whole]
    assert all(any(row["tokens"][: len(b)] == b for b in begun) for row in rows)
    assert {row["text"][:3] for row in rows} == {"Whe", "The"} and found.n_tokens == sum(len(r["tokens"]) for r in rows)
    assert sample_text(toy, found.folder, 5, resume=True, **{**options, "batch": 3}) == found
    with pytest.raises(BadInput, match=r"top_p was 0\.9 and is now None"):
        sample_text(toy, found.folder, 5, resume=True, **{**options, "top_p": 1.0})
    with pytest.raises(BadInput, match="share of the probability"):
        sample_text(toy, place("text", "x"), 2, top_p=1.5)
    with pytest.raises(BadInput, match=r"the \d+ they begin with do not fit"):
        sample_text(toy, place("text", "x"), 2, length=508, start=str(prompts))
