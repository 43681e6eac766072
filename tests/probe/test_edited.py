"""A prompt run without and with changes: exact where nothing changes, equal to doing it by hand where something does."""

import numpy as np
import pytest
import torch
from tiny import tiny

from probe.dictionaries import TopK, Transcoder
from probe.errors import BadInput, OpenworkError
from probe.interventions import edited_run as edited
from probe.interventions.changes import name_of, names_of
from probe.interventions.edited_run import edited_run
from probe.interventions.forward import capture
from probe.interventions.places import Place, head, neuron, place
from probe.interventions.running import intervene
from probe.interventions.unit_edits import UnitEdit, unit_values
from probe.interventions.values import Knockout, Mean, Patch, Splice, Steer, Zero
from probe.model.sites import resid_post
from probe.text.tokens import encode_prompt

PROMPT = "one two three four"


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_no_change_changes_nothing(name):
    run = edited_run(tiny(name), PROMPT, [], k=5)
    assert (run.kl == 0).all() and all(c.before == c.after for c in run.candidates)
    assert np.array_equal(run.loss_before[1:], run.loss_after[1:]) and np.isnan(run.loss_before[0])
    assert run.before.id == run.after.id and "stays" in run.summary()


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_a_zeroed_head_equals_subtracting_what_it_wrote(name):
    """Zeroing a head's z is taking z_h W_O off attention's output, before any post-norm."""
    model = tiny(name)
    run = edited_run(model, PROMPT, [Zero(head(1, 0))], k=5)
    ids = torch.tensor([encode_prompt(model, PROMPT)])
    with model.hooks(fwd_hooks=[("blocks.1.attn.hook_z", zeroed)]):
        after = model(ids)[0].double().log_softmax(-1)
    before = model(ids)[0].double().log_softmax(-1)
    kl = (before.exp() * (before - after)).sum(-1)
    assert run.kl == pytest.approx(kl.detach().numpy(), abs=1e-12) and run.kl[-1] > 0
    for c in run.candidates:
        assert c.before == pytest.approx(float(before[-1, c.id].exp())) and c.after == pytest.approx(
            float(after[-1, c.id].exp())
        )
    following = -after[:-1].gather(1, ids[0, 1:, None])[:, 0]
    assert run.loss_after[1:] == pytest.approx(following.detach().numpy())


@pytest.mark.parametrize("change", ["patch:L1H2", "patch:L1N5", "patch:resid_post.1@-1", "patch:L1H2@-3:", "latent"])
def test_another_prompts_values_are_put_in_where_they_were(change):
    """`patch:` by its text equals Patch with values recorded by hand; a whole site patched everywhere is the other run."""
    model, other = tiny("llama"), "one two five four"
    learned = Transcoder(32, 24, sparsifier=TopK(4), site_in="mlp_in.1", site_out="mlp_out.1").double()
    torch.nn.init.normal_(learned.W_dec)
    if change == "latent":
        found = edited_run(model, PROMPT, ["patch:L1F3"], other=other, dictionaries=[learned])
        values = unit_values(model, other, dictionary=learned)[0, :, 3]
        by_hand = UnitEdit("restore", 3, slice(0, len(values)), values, dictionary=learned)
    else:
        found, (_, where) = edited_run(model, PROMPT, [change], other=other), change.split(":", 1)
        at = place(where) if where[0] == "L" else Place(resid_post(1), -1)
        value = capture(model, other, [at.site])[at.site.name]
        pos = slice(None) if at.pos is None else slice(-1, None) if at.pos == -1 else at.pos
        index = (slice(None), pos, *[i for i in (at.head, at.unit) if i is not None])
        by_hand = Patch(at, value[index])
    wanted = edited_run(model, PROMPT, [by_hand])
    assert found.kl == pytest.approx(wanted.kl, abs=1e-12) and (change == "latent" or found.kl[-1] > 0)
    assert found.edits[0].startswith("patch ")
    whole = edited_run(model, PROMPT, ["patch:resid_post.1"], other=other)
    there = edited_run(model, other, [])
    assert [c.after for c in whole.candidates][:3] == pytest.approx([c.after for c in there.candidates][:3])


def test_what_cannot_be_put_in_says_what_to_do_instead():
    model = tiny("llama")
    for asked, said in (
        ({"changes": ["patch:L1H0"]}, "other='...' \\(--with"),
        ({"changes": ["patch:L1H0"], "other": "one two"}, "Name positions that both have, like patch:L1H0@-1"),
        ({"changes": ["patch=3:L1H0"], "other": PROMPT}, "takes no amount"),
        ({"changes": ["patch:L1F0"], "other": PROMPT}, "is a latent"),
        ({"changes": ["patch:pattern.1"], "other": PROMPT}, "no axis of positions"),
    ):
        with pytest.raises(BadInput, match=said):
            edited_run(model, PROMPT, **asked)
    with pytest.raises(BadInput, match="no other prompt is known"), intervene(model, ["patch:L1H0"]):
        pass
    assert edited_run(model, PROMPT, ["patch:L1H0@-1"], other="one two").kl[-1] > 0


def test_what_was_put_in_stays_at_its_place_while_text_goes_on():
    run = edited_run(tiny("llama"), PROMPT, ["patch:L1H0", "patch:L1N3"], other="one two five four", generate=3)
    assert run.text_after is not None and len(run.edits) == 2


def zeroed(value, hook):
    """By hand: the first head's z."""
    changed = value.clone()
    changed.view(value.shape[0], value.shape[1], -1, value.shape[-1])[:, :, 0] = 0
    return changed


def test_earlier_positions_do_not_move():
    run = edited_run(tiny("gpt2"), PROMPT, [Zero(head(1, 0, pos=2))], pos=0)
    assert (run.kl[:2] == 0).all() and run.kl[2:].max() > 0 and run.pos == 0


def test_candidates_hold_the_likeliest_of_both_runs():
    model = tiny("gpt2")
    direction = torch.zeros(model.cfg.d_model)
    direction[0] = 300.0
    run = edited_run(model, PROMPT, [Steer(resid_post(model.cfg.n_layers - 1), direction)], k=2)
    assert 2 <= len(run.candidates) <= 4 and run.before.id != run.after.id and "becomes" in run.summary()
    larger = [max(c.before, c.after) for c in run.candidates]
    assert larger == sorted(larger, reverse=True)


def test_unit_edits_and_interventions_agree():
    model = tiny("llama")
    by_unit = edited_run(model, PROMPT, [UnitEdit("ablate", 3, layer=1)], generate=3)
    (texts,) = [p.rows for p in by_unit.panels() if getattr(p, "title", "") == "How both runs go on"]
    assert [row["continues"] for row in texts] == [by_unit.text_before, by_unit.text_after] and by_unit.text_after
    by_place = edited_run(model, PROMPT, [Zero(neuron(1, 3))])
    assert by_unit.kl == pytest.approx(by_place.kl, abs=1e-12) and by_unit.kl[-1] > 0
    assert by_unit.text_before is not None and by_place.text_before is None
    assert by_unit.to_dict()["loss_before"][0] is None and by_unit.figure().data and "<table" in by_unit._repr_html_()


@pytest.mark.parametrize("where", ["L1H0", "L1N5", "mlp_out.1"])
def test_a_mean_is_that_of_the_prompt(where):
    """`mean:` holds what it names at its mean over the prompt's positions, at all of them or at one."""
    model, at = tiny("llama"), place(where)
    held = capture(model, torch.tensor([encode_prompt(model, PROMPT)]), [at.site])[at.site.name][0]
    part = held[:, at.head] if at.head is not None else held[:, at.unit] if at.unit is not None else held
    for pos in ("", "@2"):
        run = edited_run(model, PROMPT, [f"mean:{where}{pos}"])
        by_hand = edited_run(model, PROMPT, [Mean(place(where, int(pos[1:]) if pos else None), part.mean(0))])
        assert run.kl.max() > 0 and np.array_equal(run.kl, by_hand.kl) and run.edits == by_hand.edits


def test_a_mean_without_a_prompt_is_refused():
    with pytest.raises(BadInput, match="none is known here"), intervene(tiny("llama"), ["mean:L1H0"]):
        pass
    with pytest.raises(BadInput, match="takes no amount"):
        edited_run(tiny("llama"), PROMPT, ["mean=2:L1H0"])


def test_changes_are_named():
    assert name_of(Zero(head(9, 6))) == "ablate L9H6"
    assert name_of(Zero(neuron(5, 120, 3))) == "ablate L5N120@3"
    assert name_of(Steer(resid_post(6), torch.ones(1))) == "add resid_post.6"
    assert name_of(UnitEdit("scale", 7, 2, 0.5, layer=1)) == "scale L1N7@2"
    assert name_of(Knockout(1, 2, 0)) == "knockout L1@2←0" and name_of(Knockout(1, 2, 0, head=3)).endswith("L1H3@2←0")
    assert name_of(Zero(place("mlp_out.2", slice(1, None)))) == "ablate mlp_out.2@1:"


def test_a_latent_is_named_by_its_layer_and_two_dictionaries_of_one_layer_are_told_apart():
    one, other, higher = (
        Transcoder(32, 8, sparsifier=TopK(2), site_in=f"mlp_in.{at}", site_out=f"mlp_out.{at}") for at in (3, 3, 4)
    )
    one.name = "first"
    edits = [UnitEdit("ablate", 5, 2, dictionary=one), UnitEdit("clamp", 6, slice(1, 3), 2.0, dictionary=higher)]
    assert names_of(edits) == ["ablate L3F5@2", "clamp L4F6@1:3"]
    both = names_of([UnitEdit("ablate", 5, dictionary=one), UnitEdit("scale", 5, dictionary=other, amount=2.0)])
    assert both == ["ablate L3F5 of first", "scale L3F5 of the dictionary at mlp_in.3"]
    assert name_of(Splice(one)) == "splice first at mlp_out.3"


def test_bad_input_and_silent_changes_are_refused():
    model = tiny("gpt2")
    with pytest.raises(BadInput, match="positions 0 to"):
        edited_run(model, PROMPT, [], pos=99)
    with pytest.raises(OpenworkError, match="never fired"):
        edited_run(model, PROMPT, [Zero(head(1, 0, pos=99))])
    assert capture(model, torch.tensor([encode_prompt(model, PROMPT)]), ["z.1"])  # and no hook was left behind


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_prints_what_changed(capsys, home):
    from app.cli import run

    assert (
        run(
            [
                "edit",
                "--prompt",
                "hello there",
                "--model",
                "toy",
                "--change",
                "zero:L1H0",
                "--change",
                "scale=2:L0N3@1",
                "--change",
                "add=2:L1N4",
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "ablate L1H0" in out and "scale L0N3@1" in out and "likeliest token" in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("L1", "is no change"),
        ("zero:L1X3", "is no change"),
        ("scale:L1N3", "by how much"),
        ("clamp=e:L1N3", "no number"),
        ("zero:L99H0", "layers 0 to 3"),
        ("zero:L1H99", "no head L1H99: this model has layers 0 to 3, heads 0 to 3"),
        ("add=1:L1H0", "no direction of its own"),
        ("zero:L1F3", "give the one dictionary"),
    ],
)
def test_the_command_refuses(change, words, capsys, home):
    from app.cli import run

    assert run(["edit", "--prompt", "hello", "--model", "toy", "--change", change]) == 2
    assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("positions", [1, 3])
def test_pieces_change_nothing_and_numbers_are_those_of_whole_tables(positions, monkeypatch):
    model, prompt, change = tiny("llama"), "Mary and John went to Rome", [Zero(head(1, 2))]
    monkeypatch.setattr(edited, "TABLE", positions * model.cfg.d_vocab + 1)
    run = edited_run(model, prompt, change)
    ids = torch.tensor([run.token_ids])
    with torch.no_grad():
        before = model(ids)[0].double().log_softmax(-1)
        with intervene(model, change):
            after = model(ids)[0].double().log_softmax(-1)
    for c in run.candidates:
        for value, logs in ((c.logit_before, before), (c.logit_after, after)):
            assert value == pytest.approx(float(logs[-1, c.id] - logs[-1].mean()), abs=1e-9)
    assert abs(float(before[-1].mean() - after[-1].mean())) > 1e-5  # each is measured from its own mean
    assert np.allclose(run.kl, (before.exp() * (before - after)).sum(-1).numpy(), atol=1e-12) and run.kl.max() > 1e-6
    for loss, logs in ((run.loss_before, before), (run.loss_after, after)):
        own = [-float(logs[i - 1, run.token_ids[i]]) for i in range(1, len(run.token_ids))]
        assert np.isnan(loss[0]) and np.allclose(loss[1:], own, atol=1e-12)
