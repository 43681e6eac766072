"""Edits of neurons and latents do exactly what they say: against hand-made hooks, in generation, and never silently nothing."""

import pytest
import torch
from tiny import CONFIGS, tiny

from probe.dictionaries import SAE, BatchTopK, CrossLayerTranscoder, ReLU, TopK, Transcoder
from probe.errors import BadInput, OpenworkError
from probe.interventions.forward import capture
from probe.interventions.places import neuron, place
from probe.interventions.running import intervene
from probe.interventions.unit_edits import UnitEdit, edit_units, unit_values
from probe.interventions.values import Clamp, Patch, Scale, Steer, Zero
from probe.model.toy import lookup_model

TOKENS = torch.tensor([[1, 7, 30, 12, 99]])


def shaken(dictionary, dtype=torch.float64):
    """Every weight random, so that no term is zero."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in dictionary.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return dictionary.to(dtype).eval()


def made(kind: str, layer: int = 1, d: int = 32, rule=None):
    rule = rule or ReLU()
    sites = {"site_in": f"blocks.{layer}.mlp.hook_in", "site_out": f"blocks.{layer}.mlp.hook_out"}
    if kind in ("transcoder", "skip"):
        return shaken(Transcoder(d, 40, sparsifier=rule, skip=kind == "skip", **sites))
    return shaken(SAE(d, 40, sparsifier=rule, site=f"blocks.{layer}.{kind}"))


def active(dictionary, model, n=3, pos=3):
    """The units most active at a position."""
    return unit_values(model, TOKENS, dictionary=dictionary)[0, pos].topk(n).indices.tolist()


def run(model, edits):
    with intervene(model, edit_units(model, edits)):
        return model(TOKENS)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_neuron_edit_equals_the_plain_intervention(name):
    model = tiny(name)
    on = int(unit_values(model, TOKENS, layer=1)[0, 3].argmax())  # ReLU leaves many neurons off
    pairs = [
        (UnitEdit("ablate", on, 3, layer=1), Zero(neuron(1, on, 3))),
        (UnitEdit("scale", on, slice(2, None), 3.0, layer=1), Scale(neuron(1, on, slice(2, None)), 3.0)),
        (UnitEdit("clamp", 6, None, 2.0, layer=0), Clamp(neuron(0, 6), 2.0)),
    ]
    for edit, plain in pairs:
        with intervene(model, [plain]):
            expected = model(TOKENS)
        assert torch.equal(run(model, [edit]), expected) and not torch.equal(expected, model(TOKENS))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kind", ["transcoder", "skip", "hook_resid_post", "hook_resid_mid", "mlp.hook_out"])
def test_a_factor_of_one_changes_no_bit(name, kind):
    model = tiny(name)
    edits = [UnitEdit("scale", u, 3, 1.0, dictionary=made(kind)) for u in range(10)]
    if kind == "hook_resid_mid" and model.cfg.parallel_attn_mlp:  # no stream between attention and MLP there
        with pytest.raises(BadInput, match="no 'resid_mid"):
            run(model, edits)
        return
    edits += [UnitEdit("scale", u, None, 1.0, layer=2) for u in range(10)]
    assert torch.equal(run(model, edits), model(TOKENS))


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "gemma2", "llama"])
@pytest.mark.parametrize("mode", ["ablate", "scale", "clamp"])
def test_a_latent_edit_adds_its_decoder_row_by_hand(name, mode):
    """mlp_out moves by (new - current) W_dec and the rest follows: the same as adding that vector oneself."""
    model, dictionary = tiny(name), made("skip", rule=TopK(8))
    units = active(dictionary, model)
    current = unit_values(model, TOKENS, dictionary=dictionary)[0, 3, units]
    new = {"ablate": 0 * current, "scale": 2.5 * current, "clamp": torch.full_like(current, 1.5)}[mode]
    write = (new - current) @ dictionary.W_dec[units]
    clean = capture(model, TOKENS, ["mlp_out.1"])["blocks.1.mlp.hook_out"].clone()
    clean[0, 3] += write
    with intervene(model, [Patch("mlp_out.1", clean)]):
        expected = model(TOKENS)
    amount = {"ablate": 0.0, "scale": 2.5, "clamp": 1.5}[mode]
    found = run(model, [UnitEdit(mode, u, 3, amount, dictionary=dictionary) for u in units])
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert (found - model(TOKENS)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_an_sae_between_attention_and_mlp_writes_to_the_stream_not_only_to_the_mlp(name):
    """All latents to zero leaves decoder bias and error: the stream itself must lose the reconstruction."""
    model, dictionary = tiny(name), made("hook_resid_mid")
    x = capture(model, TOKENS, ["resid_mid.1"])["blocks.1.hook_resid_mid"]
    written = dictionary.encode(x) @ dictionary.W_dec
    edits = edit_units(model, [UnitEdit("ablate", u, dictionary=dictionary) for u in range(40)])
    sites = ["resid_mid.1", "mlp_write.1", "resid_post.1"]
    with intervene(model, edits):
        found = capture(model, TOKENS, sites)
    mid, out, post = found.values()
    assert torch.allclose(mid, x - written, atol=1e-12) and written.abs().max() > 1e-3
    assert torch.allclose(post, x - written + out, atol=1e-5)


def test_error_and_skip_stay_as_they_are():
    """Ablating every latent leaves what the dictionary does not explain by latents: error, decoder bias and linear path."""
    model, dictionary = tiny("llama"), made("skip")
    found = capture(model, TOKENS, ["mlp_in.1", "mlp_out.1"])
    x, y = found["blocks.1.mlp.hook_in"], found["blocks.1.mlp.hook_out"]
    left = (y - dictionary(x).recons) + dictionary.b_dec + x @ dictionary.W_skip.T
    with intervene(model, edit_units(model, [UnitEdit("ablate", u, dictionary=dictionary) for u in range(40)])):
        edited = capture(model, TOKENS, ["mlp_out.1"])["blocks.1.mlp.hook_out"]
    assert torch.allclose(edited, left, atol=1e-12)


def test_latents_of_a_cross_layer_transcoder_write_to_every_later_layer():
    model, n = tiny("gpt2"), 3
    sites = {f"sites_{s}": [f"blocks.{i}.mlp.hook_{s}" for i in range(n)] for s in ("in", "out")}
    clt = shaken(CrossLayerTranscoder([32] * n, 20, [32] * n, sparsifier=ReLU(), **sites))
    part = clt.parts[1]
    (unit,) = active(part, model, 1)
    a = unit_values(model, TOKENS, dictionary=part)[0, 3, unit]
    outs = [f"mlp_out.{i}" for i in range(n)]
    clean = capture(model, TOKENS, outs)
    with intervene(model, edit_units(model, [UnitEdit("scale", unit, 3, 2.0, dictionary=part)])):
        edited = capture(model, TOKENS, outs)
    first, second = (edited[f"blocks.{i}.mlp.hook_out"] - clean[f"blocks.{i}.mlp.hook_out"] for i in (0, 1))
    assert first.abs().max() == 0
    assert torch.allclose(second[0, 3], a * part.W_dec[unit, :32], atol=1e-12)
    # layer 2's own MLP also answers to the change, so its write is compared with a run in which layer 1 alone was changed
    with intervene(model, [Steer(place("mlp_out.1", 3), (a * part.W_dec[unit, :32]).detach())]):
        answered = capture(model, TOKENS, ["mlp_out.2"])["blocks.2.mlp.hook_out"]
    gap = edited["blocks.2.mlp.hook_out"] - answered
    assert torch.allclose(gap[0, 3], a * part.W_dec[unit, 32:], atol=1e-12) and gap[0, :3].abs().max() == 0


def test_edits_of_several_units_add_up():
    """What is written is linear in the edits, also where units share a dictionary at different positions."""
    model, dictionary = tiny("llama"), made("hook_resid_post")
    (one, two) = active(dictionary, model, 2)
    sets = [
        [UnitEdit("ablate", one, 3, dictionary=dictionary)],
        [UnitEdit("scale", two, slice(1, None), 3.0, dictionary=dictionary)],
    ]
    clean = capture(model, TOKENS, ["resid_post.1"])["blocks.1.hook_resid_post"]
    moved = []
    for edits in [*sets, sets[0] + sets[1]]:
        with intervene(model, edit_units(model, edits)):
            moved.append(capture(model, TOKENS, ["resid_post.1"])["blocks.1.hook_resid_post"] - clean)
    assert torch.allclose(moved[0] + moved[1], moved[2], atol=1e-12) and moved[0].abs().max() > 1e-3


def test_restoring_another_runs_values_gives_its_neurons():
    model, other = tiny("llama"), torch.tensor([[1, 8, 31, 13, 98]])
    values = unit_values(model, other, layer=1)[0]
    edits = [UnitEdit("restore", u, amount=values[:, u], layer=1) for u in range(48)]
    with intervene(model, edit_units(model, edits)):
        found = capture(model, TOKENS, ["mlp_post.1"])["blocks.1.mlp.hook_post"][0]
    assert torch.equal(found, values)
    one = UnitEdit("restore", 4, 2, values[:, 4], layer=1)
    with intervene(model, edit_units(model, [one])):
        found = capture(model, TOKENS, ["mlp_post.1"])["blocks.1.mlp.hook_post"][0]
    assert found[2, 4] == values[2, 4] and found[1, 4] != values[1, 4]


def test_restoring_a_latents_own_value_is_nothing():
    model, dictionary = tiny("gpt2"), made("transcoder")
    values = unit_values(model, TOKENS, dictionary=dictionary)[0]
    edits = [UnitEdit("restore", u, amount=values[:, u], dictionary=dictionary) for u in range(40)]
    assert torch.allclose(run(model, edits), model(TOKENS), atol=1e-12)


def test_known_effect_on_a_hand_wired_model():
    model = lookup_model(8, gain=3.0)
    with torch.no_grad(), intervene(model, edit_units(model, [UnitEdit("scale", 3, 1, 2.0, layer=0)])):
        logits = model(torch.tensor([[1, 3]]))
    assert logits[0, 1, 4] == 6.0 and logits[0, 0, 2] == 3.0


@pytest.mark.parametrize("pos", [slice(5, None), 6, slice(2, 6), None])
def test_edits_hold_in_generation_with_and_without_a_cache(pos):
    model, dictionary = tiny("llama"), made("transcoder", rule=TopK(4))
    units = active(dictionary, model, 3)
    edits = [UnitEdit("clamp", u, pos, 30.0, dictionary=dictionary) for u in units]
    edits += [UnitEdit("clamp", 3, pos, 60.0, layer=2)]
    runs = []
    for cached in (True, False):
        with intervene(model, edit_units(model, edits)):
            options = {"do_sample": False, "use_past_kv_cache": cached, "verbose": False, "stop_at_eos": False}
            runs.append(torch.as_tensor(model.generate(TOKENS, max_new_tokens=6, **options)))
    plain = torch.as_tensor(model.generate(TOKENS, max_new_tokens=6, do_sample=False, verbose=False, stop_at_eos=False))
    assert torch.equal(*runs) and not torch.equal(runs[0], plain)


def test_a_dictionary_left_in_training_mode_is_read_by_its_rule_of_inference():
    """In training mode BatchTopK picks over the batch; an edit must see what a graph saw."""
    model, dictionary = tiny("llama"), made("transcoder", rule=BatchTopK(4))
    quiet = unit_values(model, TOKENS, dictionary=dictionary)
    dictionary.train()
    assert torch.equal(unit_values(model, TOKENS, dictionary=dictionary), quiet) and dictionary.training


def test_what_never_fired_raises():
    model = tiny("llama")
    with pytest.raises(OpenworkError, match="never fired"):
        run(model, [UnitEdit("ablate", 3, 17, layer=1)])
    with pytest.raises(OpenworkError, match="never fired"):
        run(model, [UnitEdit("ablate", 3, 17, dictionary=made("transcoder"))])


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([UnitEdit("erase", 1, layer=0)], "no edit 'erase'"),
        ([UnitEdit("ablate", 48, layer=0)], "no neuron L0N48: .* neurons 0 to 47"),
        ([UnitEdit("ablate", 1)], "layer of a neuron"),
        ([UnitEdit("ablate", 1, layer=9)], "layers 0 to 2"),
        ([UnitEdit("scale", 1, 0, float("nan"), layer=0)], "finite"),
        ([UnitEdit("ablate", 1, 3, layer=0), UnitEdit("scale", 1, slice(2, None), 2.0, layer=0)], "one unit at one"),
        ([UnitEdit("ablate", 1, -1, layer=0), UnitEdit("scale", 1, 2, 2.0, layer=0)], "one unit at one"),
        ([UnitEdit("restore", 1, 5, torch.ones(5), layer=0)], "5 positions"),
    ],
)
def test_bad_edits_are_refused_with_a_sentence(edits, words):
    with pytest.raises(BadInput, match=words):
        edit_units(tiny("llama"), edits)


def test_edits_that_touch_but_do_not_overlap_are_taken():
    model = tiny("llama")
    assert len(edit_units(model, [UnitEdit("ablate", 1, slice(0, 3), layer=0), UnitEdit("ablate", 1, 3, layer=0)])) == 2
