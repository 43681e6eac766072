"""Connections by weights: hand-computed numbers, and the same out of the frozen model on a prompt, in every architecture."""

import json

import pytest
import torch
from exchanged import coder
from tiny import CONFIGS, tiny

from circuits.replacement.freeze import freeze
from circuits.replacement.placement import place_dictionaries
from circuits.weights.connections import connections
from circuits.weights.layers import layer_connections
from circuits.weights.tokens import deembed, promoted
from circuits.weights.units import unit_asked, weight_view
from probe.dictionaries import SAE, CrossLayerTranscoder, TopK
from probe.errors import BadInput
from probe.model.load import load_model
from probe.model.toy import lookup_model, native

IDS = torch.tensor([[1, 40, 61, 200, 33]])


def handmade(d_model: int = 8):
    """Two layers without norms and with all weights 0, to be wired by hand."""
    model = native(
        n_layers=2, d_model=d_model, n_heads=2, d_head=2, d_mlp=3, d_vocab=6, act_fn="relu", normalization_type=None
    )
    with torch.no_grad():
        for weight in model.original_model.parameters():
            weight.zero_()
    return model


def test_a_hand_wired_pair_has_its_hand_computed_strengths():
    """Neuron 0 writes 2 along axis 0; neuron 1 of layer 1 reads 3 along axis 0 and -5 along axis 5; L1H1 moves axis 0 to 5."""
    model = handmade()
    with torch.no_grad():
        model.blocks[0].mlp.W_out[0, 0] = 2.0
        model.blocks[1].mlp.W_in[0, 1] = 3.0
        model.blocks[1].mlp.W_in[5, 1] = -5.0
        model.blocks[1].attn.W_V[1, 0, 0] = 0.5
        model.blocks[1].attn.W_O[1, 0, 5] = 7.0
    found = connections(model, "L1N1", k=50)
    strong = {(c.source, c.through): c.strength for c in found.units if c.strength}
    assert strong == pytest.approx({("L0N0", ("L1H1",)): 2 * 0.5 * 7 * -5, ("L0N0", ()): 6.0})
    assert [(h.head, h.norm) for h in found.heads if h.norm] == [("L1H1", pytest.approx(17.5))]
    # 3 neurons x (direct + 2 heads of layer 1); heads of layer 0 read before any neuron writes.
    assert found.n_compared == 3 * 3
    nothing = connections(model, "L1N0", k=5)
    assert {c.strength for c in nothing.units} == {0.0}


def test_a_path_of_two_heads_is_the_product_of_their_maps():
    model = handmade()
    with torch.no_grad():
        model.W_E[4, 1] = 1.5
        model.blocks[0].attn.W_V[0, 1, 1], model.blocks[0].attn.W_O[0, 1, 2] = 2.0, 3.0
        model.blocks[1].attn.W_V[1, 2, 0], model.blocks[1].attn.W_O[1, 0, 3] = 5.0, 7.0
        model.blocks[1].mlp.W_in[3, 2] = 11.0
    [found] = [r for r in deembed(model, "L1N2", through=[(0, 0), (1, 1)], k=1) if r.reader == "in"]
    share = 1.5 * 2 * 3 * 5 * 7 * 11
    assert (found.highest[0].id, found.highest[0].score) == (
        4,
        pytest.approx(share * (1 - 1 / 6)),
    )  # demeaned over 6 tokens
    with pytest.raises(BadInput, match="nearest to the source first"):
        deembed(model, "L1N2", through=[(1, 1), (0, 0)])


def test_the_lookup_model_is_read_off_its_weights():
    """Neuron i fires on token i and raises token i + 1: weights alone say both."""
    model = lookup_model(8, gain=3.0)
    alone, reader = deembed(model, "L0N3", k=2)
    assert (alone.reader, alone.highest[0].id, alone.highest[0].score) == ("alone", 3, 1.0)
    assert (reader.reader, reader.highest[0].id, reader.highest[0].score) == ("in", 3, pytest.approx(1 - 1 / 8))
    top = promoted(model, "L0N3", k=1).highest[0]
    assert (top.id, top.score) == (4, pytest.approx(3 * (1 - 1 / 8)))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("learned", [False, True])
def test_strengths_times_the_inputs_factors_are_what_a_prompt_shows(name, learned):
    """The frozen model of a prompt, by other code: a source's write carried up through one head's own maps, then read."""
    model, pos, key, layer = tiny(name), 4, 2, 1
    dictionaries = [coder(0, 32), coder(2, 32, seed=1)] if learned else []
    frozen = freeze(model, IDS, place_dictionaries(model, dictionaries))
    first, block, last = frozen.layers[0], frozen.layers[layer], frozen.layers[2]
    unit, target = 3, 5
    stream = torch.zeros_like(frozen.embed)
    stream[key] = first.mlp.writer[unit]
    stream = stream if first.write_norm is None else first.write_norm.forward(stream)
    for head in (1, 3):
        one_hot = torch.zeros_like(block.attn.pattern)
        one_hot[head, pos, key] = 1.0
        moved = type(block.attn)(one_hot, block.attn.W_V, block.attn.W_O, block.attn.bias).forward(
            stream if block.ln1 is None else block.ln1.forward(stream)
        )
        moved = moved if block.ln1_post is None else block.ln1_post.forward(moved)
        read = last.mlp_norm.forward(moved)[pos] if last.mlp_norm is not None else moved[pos]
        scales = [(first.write_norm, key), (block.ln1, key), (block.ln1_post, pos), (last.mlp_norm, pos)]
        divisor = torch.stack([n.scale[p, 0] for n, p in scales if n is not None]).prod()
        columns = {"enc": "W_enc"} if learned else {"in": "W_in", "gate": "W_gate"}
        found = connections(model, (2, target), dictionaries=dictionaries, through=[(layer, head)], k=2000)
        source = "L0F3" if learned else "L0N3"
        mine = {c.reader: c.strength for c in found.units if c.source == source}
        assert mine
        for reader, strength in mine.items():
            W = getattr(last.mlp, columns[reader])
            assert strength / float(divisor) == pytest.approx(float(read @ W[:, target]), rel=1e-9, abs=1e-13)


def test_a_head_of_another_group_reads_other_values():
    """Grouped queries: heads 0 and 1 share a value matrix, 2 and 3 another. A wrong grouping would swap these numbers."""
    model = tiny("llama")
    attn = model.blocks[1].attn
    assert attn.W_V.shape[0] == 2 and attn.W_O.shape[0] == 4
    ov = torch.stack([attn.W_V[h // 2] @ attn.W_O[h] for h in range(4)])
    view = weight_view(model)
    row = view.bank(unit_asked("L2N7")).readers(torch.tensor([7]))["in"][0]
    written = view.bank(unit_asked("L0N2")).writers(slice(2, 3), 4)[0]
    ln1 = model.blocks[1].ln1.weight
    expected = [(written * ln1) @ ov[h] @ row for h in range(4)]
    for h in range(4):
        found = connections(model, "L2N7", through=[(1, h)], k=500)
        mine = next(c for c in found.units if c.source == "L0N2" and c.reader == "in")
        assert mine.strength == pytest.approx(float(expected[h]), rel=1e-10)


@pytest.mark.parametrize("cells", [64, 1 << 24])
def test_blocks_change_nothing_and_the_top_k_is_the_top_of_all_pairs(cells, monkeypatch):
    import circuits.weights.connections as weights

    monkeypatch.setattr(weights, "CELLS", cells)
    model, learned = tiny("gemma2"), [coder(0, 32), coder(2, 32, seed=1)]
    view = weight_view(model, learned)
    first, last = (view.bank(unit_asked(n)) for n in ("L0F0", "L2F0"))
    full = last.readers(torch.arange(12))["enc"] @ first.writers(slice(0, 12), 10).T
    found = layer_connections(model, 0, 2, dictionaries=learned, k=4)
    top = full.abs().topk(4, 1).indices
    torch.testing.assert_close(found.strength, full.gather(1, top))
    assert (found.index == top).all()
    direct = connections(model, "L2F5", dictionaries=learned, through="direct", k=3)
    every = connections(model, "L2F5", dictionaries=learned, through="direct", k=10_000)
    assert [c.strength for c in direct.units] == [c.strength for c in every.units][:3]
    assert every.n_compared == 12 + 48 == len(every.units)
    sources = {c.source: c.strength for c in every.units}
    assert sources["L0F7"] == pytest.approx(float(full[5, 7]), rel=1e-12)


def test_cross_layer_latents_count_only_what_they_have_written_by_then():
    model, d = tiny("llama"), 32
    clt = CrossLayerTranscoder(
        [d] * 3,
        6,
        [d] * 3,
        sparsifier=TopK(2),
        sites_in=[f"blocks.{i}.mlp.hook_in" for i in range(3)],
        sites_out=[f"blocks.{i}.mlp.hook_out" for i in range(3)],
    ).double()
    with torch.no_grad():
        for weight in clt.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)).double())
    view = weight_view(model, [clt])
    rows = clt.parts[0].W_dec.detach().split(d, 1)
    bank = view.bank(unit_asked("L0F4"))
    torch.testing.assert_close(bank.writers(slice(4, 5), 6)[0], rows[0][4])  # layer 1's MLP reads at point 6
    torch.testing.assert_close(bank.writers(slice(4, 5), 10)[0], rows[0][4] + rows[1][4])
    torch.testing.assert_close(bank.writers(slice(4, 5), 12)[0], rows[0][4] + rows[1][4] + rows[2][4])
    found = connections(model, "L2F1", dictionaries=[clt], through="direct", k=100)
    assert found.n_compared == 12


def test_an_sae_of_the_stream_reads_and_writes_without_a_norm():
    model = tiny("gpt2")
    sae = SAE(32, 9, sparsifier=TopK(2), site="blocks.1.hook_resid_post").double()
    found = connections(model, "L1F2", dictionaries=[sae], through="direct", k=500)
    assert found.n_compared == 2 * 128  # the neurons of layers 0 and 1
    expected = model.blocks[1].mlp.W_out[17] @ sae.W_enc[:, 2]
    assert next(c for c in found.units if c.source == "L1N17").strength == pytest.approx(expected.item(), rel=1e-10)
    of_mlp = SAE(32, 9, sparsifier=TopK(2), site="blocks.1.mlp.hook_out").double()
    with pytest.raises(BadInput, match="reads only what the neurons"):
        connections(model, "L1F2", dictionaries=[of_mlp])


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "gemma2"])
def test_deembeddings_equal_the_embedding_through_the_weights(name):
    model, target = tiny(name), 11
    mlp, norm = model.blocks[2].mlp, model.blocks[2].ln2
    weight = norm.weight + (1.0 if norm.uses_weight_offset else 0.0)
    table = freeze(model, torch.arange(1, 60)[None]).embed  # as the model itself scales it
    x = (table if norm.uses_rms_norm else table - table.mean(1, keepdim=True)) * weight
    W = mlp.W_in if mlp.W_gate is None else mlp.W_gate
    expected = x @ W[:, target]
    vocabulary = int(model.cfg.d_vocab)
    ranking = next(
        r for r in deembed(model, (2, target), k=vocabulary) if r.reader == ("in" if mlp.W_gate is None else "gate")
    )
    scores = {t.id: t.score for t in ranking.highest}
    assert sorted(scores.values(), reverse=True) == [t.score for t in ranking.highest]
    found = torch.tensor([scores[i] for i in range(1, 60)], dtype=torch.float64)
    gap = found - expected  # one constant, the mean over the vocabulary
    assert float(gap.std() / expected.std()) < 1e-6
    assert sum(scores.values()) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "gemma2"])
def test_the_activation_of_a_token_alone_is_what_the_models_own_mlp_computes(name):
    model, seen = tiny(name), []
    alone = next(r for r in deembed(model, (1, 9), k=int(model.cfg.d_vocab)) if r.reader == "alone")
    ids = [5, 77, 201]
    x = freeze(model, torch.tensor([ids])).embed  # as the model itself scales it
    with model.hooks(fwd_hooks=[("blocks.1.mlp.hook_post", lambda value, hook: seen.append(value))]):
        model.blocks[1].mlp(model.blocks[1].ln2(x[None]))
    found = {t.id: t.score for t in alone.highest}
    assert [found[i] for i in ids] == pytest.approx(seen[0].reshape(3, -1)[:, 9].tolist(), rel=1e-5)


def test_the_extended_embedding_says_that_it_is_our_choice():
    model = tiny("gpt2")
    plain, more = (next(r for r in deembed(model, (2, 3), extended=e) if r.reader == "in") for e in (False, True))
    assert plain.embedding == "token embedding" and "our choice" in more.embedding
    assert [t.id for t in plain.highest] != [t.id for t in more.highest]


def test_records_are_tables_pictures_and_json():
    found = connections(load_model("toy"), "L3N4", k=6)
    assert len(found.rows()) == 6 and found.rows(2)[0].keys() == {"source", "through", "reader", "strength"}
    assert json.loads(json.dumps(found.to_dict()))["target"] == "L3N4"
    assert "L3N4" in found._repr_html_() and "gated" in found.convention
    figure = found.figure()
    assert list(figure.data[0].x) == [c.strength for c in found.units]
    ranking = deembed(load_model("toy"), "L3N4", k=3)[0]
    assert json.loads(json.dumps(ranking.to_dict()))["reader"] == "alone" and len(ranking.figure().data[0].x) == 6


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("L1", {}, "target is 'L1'; a unit .* was wanted. That is a layer"),
        ("L9N0", {}, "layers 0 to 3"),
        ("L1N999", {}, "neurons 0 to 127"),
        ("L1F3", {}, "no dictionary of layer 1"),
        ("L1N3", {"through": "sideways"}, "direct, heads, all"),
        ("L1N3", {"through": [(1, 9)]}, "heads 0 to 3"),
        ("L1N3", {"through": [(2, 0)]}, "writes after"),
        ("L1N3", {"k": 0}, "at least 1"),
    ],
)
def test_what_does_not_exist_is_refused(target, options, words):
    with pytest.raises(BadInput, match=words):
        connections(load_model("toy"), target, **options)
