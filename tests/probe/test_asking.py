"""What a person may hand over: prompts, tokens and sites in every form, and a sentence for what is none of them."""

import numpy as np
import pytest
import torch
from tokenizers_alone import holder

import circuits
import probe
from probe.dictionaries import ReLU, Transcoder
from probe.errors import BadInput
from probe.heads.reading import read_head
from probe.model.sites import Site, parse_site, parse_sites
from probe.model.toy import native
from probe.text.prompts import encode_prompt, read_prompt
from probe.text.targets import Difference, token_id

PROMPT = "When Mary and John went"
CHAT = [{"role": "user", "content": "Mary"}, {"role": "assistant", "content": "John"}]
TEMPLATE = (
    "{% for m in messages %}<bos>{{ m.role }}: {{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<bos>assistant: {% endif %}"
)


@pytest.fixture(scope="module")
def ids(toy) -> list[int]:
    return encode_prompt(toy, PROMPT)


@pytest.fixture
def chatty(toy, monkeypatch):
    monkeypatch.setattr(toy.tokenizer, "chat_template", TEMPLATE)
    return toy


READERS = {
    "lens": lambda m, p: probe.logit_lens(m, p, top_k=2).entropy,
    "follow": lambda m, p: probe.follow_token(m, p, " the").logits,
    "heads": lambda m, p: probe.head_patterns(m, p).patterns,
    "head table": lambda m, p: probe.head_table(m, p).scores["direct"],
    "head": lambda m, p: read_head(m, p, 1, 2).direct,
    "direct": lambda m, p: probe.direct_logits(m, p).heads,
    "units": lambda m, p: np.array([r.direct for r in probe.top_units(m, p, k=2).units]),
    "compare": lambda m, p: probe.compare_prompts(m, p, PROMPT).kl,
    "edit": lambda m, p: probe.edited_run(m, p, probe.ablate_head(m, p, 1, 2, "mean")).kl,
    "generate": lambda m, p: np.array(probe.generate_with(m, p, [], 2).clean.ids),
    "trace": lambda m, p: circuits.trace(m, p, config=circuits.TraceConfig(max_nodes=4)).nodes.value,
    "paths": lambda m, p: np.array([one.value for one in circuits.top_paths(m, p, length=2).paths]),
    "pair": lambda m, p: np.array(circuits.read_pair(m, p, "When Rome and John went").clean.value),
    "capture": lambda m, p: probe.capture(m, p, "resid_post.2")["resid_post.2"].numpy(),
    "unit values": lambda m, p: probe.unit_values(m, p, layer=2).numpy(),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_prompt_is_text_ids_a_tensor_or_a_batch_of_one(toy, ids, reader):
    read = READERS[reader]
    wanted = read(toy, PROMPT)
    for same in (ids, torch.tensor(ids), torch.tensor([ids]), np.array(ids), tuple(ids), [PROMPT]):
        assert np.array_equal(read(toy, same), wanted, equal_nan=True)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (3.5, "float 3.5 came| is 3.5; a prompt"),
        (None, "NoneType None came| needs "),
        ([], "empty"),
        ([1, 10**6], "no token 1000000"),
        ([1, "Mary"], "whole numbers were wanted"),
        ([True, False], "whole numbers were wanted"),
        (torch.ones(3), "token ids were wanted|token ids are whole numbers"),
        ([{"role": "user", "content": "Mary"}], "no chat template"),
        (["Mary went to Rome", "John"], "2 prompts were given"),
    ],
)
def test_what_is_no_prompt_is_answered_in_a_sentence(toy, reader, prompt, said):
    if reader in ("capture", "unit values") and prompt == ["Mary went to Rome", "John"]:
        prompt, said = ["Mary went to Rome", ""], "The prompt is empty"  # these read several
    with pytest.raises(BadInput, match=said):
        READERS[reader](toy, prompt)


def test_prompts_of_equal_length_are_a_batch(toy, ids):
    other = [*ids[:-1], 7]
    both = probe.capture(toy, [PROMPT, other], ["resid_post.1"])["resid_post.1"]
    assert torch.allclose(both[:1], probe.capture(toy, PROMPT, "resid_post.1")["resid_post.1"], atol=1e-5)
    assert both.shape[0] == 2 and not torch.equal(both[0], both[1])


def test_ids_are_taken_as_they_are(toy, ids):
    assert read_prompt(toy, ids) == (PROMPT, ids)
    assert read_prompt(toy, ids[1:]) == (PROMPT, ids[1:]), "no BOS is put before ids"


def test_a_chat_is_read_through_the_tokenizers_template(chatty):
    text, ids = read_prompt(chatty, CHAT[:1])
    assert text == "<bos>user: Mary<bos>assistant: " and ids == encode_prompt(chatty, text)
    assert read_prompt(chatty, CHAT).text.endswith("<bos>assistant: John"), "an answer that is begun is gone on with"
    assert probe.logit_lens(chatty, CHAT).prompt == read_prompt(chatty, CHAT).text


@pytest.mark.parametrize(
    "bad", [[{"role": "user"}], [{"content": "x"}], [{"role": "user", "content": 3}], [CHAT[0], "x"]]
)
def test_what_is_no_message_is_answered_in_a_sentence(chatty, bad):
    with pytest.raises(BadInput, match="A chat message is"):
        read_prompt(chatty, bad)


def test_a_template_that_refuses_is_a_sentence(toy, monkeypatch):
    monkeypatch.setattr(toy.tokenizer, "chat_template", "{{ raise_exception('only one user') }}")
    with pytest.raises(BadInput, match="refuses these messages: only one user"):
        read_prompt(toy, CHAT[:1])


def test_a_model_without_a_tokenizer_is_asked_by_ids():
    model = native(0, None, n_layers=2, d_vocab=20)
    assert probe.logit_lens(model, [3, 4, 5], top_k=1).tokens == ["3", "4", "5"]
    assert probe.direct_logits(model, [3, 4, 5], Difference(7, 8)).target_tokens[-1] == "'7' − '8'"
    assert circuits.trace(model, [3, 4, 5], target=7, config=circuits.TraceConfig(max_nodes=4)).tokens == [
        "3",
        "4",
        "5",
    ]
    assert len(probe.generate_with(model, [3, 4], [], 2).clean.ids) == 2
    with pytest.raises(BadInput, match="no tokenizer"):
        probe.logit_lens(model, "Mary")


# -- tokens --------------------------------------------------------------------------------------------------------------


def test_a_token_is_its_text_or_its_id(toy):
    the = toy.tokenizer.encode(" the", add_special_tokens=False)[0]
    assert token_id(toy, " the") == token_id(toy, the) == token_id(toy, np.int64(the)) == the


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("", "empty"),
        (" photosynthesis", r"is \d+ tokens .*one was wanted. Name its first piece"),
        (512, "no token 512"),
        (-1, "no token -1"),
        (True, "bool True came|True.?; a"),
        (3.0, "float 3.0 came|3.0.?; a"),
        ([" the"], "list .* came|' the']+; a"),
    ],
)
def test_what_is_no_token_is_answered_in_a_sentence(toy, wrong, said):
    for ask in (
        lambda t: token_id(toy, t),
        lambda t: probe.direct_logits(toy, PROMPT, t),
        lambda t: probe.head_table(toy, PROMPT, target=t),
        lambda t: probe.top_units(toy, PROMPT, target=t),
        lambda t: probe.follow_token(toy, PROMPT, [t]),
        lambda t: circuits.trace(toy, PROMPT, target=[t]),
        lambda t: circuits.top_paths(toy, PROMPT, t if not isinstance(t, list) else [t]),
        lambda t: circuits.read_pair(toy, PROMPT, "When Rome and John went", target=Difference(t, 7)),
    ):
        with pytest.raises(BadInput, match=said):
            ask(wrong)


def test_the_advice_names_the_token_that_there_is(toy):
    """With a space before it where only that is a token, and without one where only that is."""
    with pytest.raises(BadInput, match="' capital', with a space before it, is one"):
        token_id(toy, "capital")
    with pytest.raises(BadInput, match="'gave', without the space, is one"):
        token_id(toy, " gave")


def test_a_token_of_a_tokenizer_that_writes_spaces_itself(request):
    """Llama's puts a space before every text, so " a" becomes two tokens, although " a" is one of the vocabulary."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    vocab = {piece: i for i, piece in enumerate(["<unk>", "▁", "a", "▁a", "▁▁"])}
    backend = Tokenizer(models.BPE(vocab, [("▁", "a"), ("▁", "▁")], unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Replace("▁", " ")
    model = holder(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>"), d_vocab=5)
    assert len(model.tokenizer(" a", add_special_tokens=False)["input_ids"]) == 2
    assert token_id(model, " a") == token_id(model, "a") == 3


def test_a_difference_of_direct_effects_is_the_difference(toy):
    mary, john = " capital", " the"
    parts = [probe.direct_logits(toy, PROMPT, t) for t in (mary, john)]
    found = probe.direct_logits(toy, PROMPT, Difference(mary, john))
    for name in ("heads", "mlps", "bias", "embed", "constant", "logit"):
        difference = getattr(parts[0], name) - getattr(parts[1], name)
        assert getattr(found, name) == pytest.approx(difference, abs=2e-4), name
    head = read_head(toy, PROMPT, 1, 2, target=Difference(mary, john))
    assert head.by_key.sum(1) == pytest.approx(head.direct, abs=1e-4)
    assert found.target_tokens[-1] == "' capital' − ' the'"


def test_units_are_ranked_by_what_they_add_to_a_target(toy):
    target = Difference(" capital", " the")
    every = probe.top_units(toy, PROMPT, target=target, k=4 * 128)
    best = probe.top_units(toy, PROMPT, target=target, k=3)
    sizes = sorted((abs(r.direct) for r in every.at(-1)), reverse=True)
    assert [abs(r.direct) for r in best.at(-1)] == sizes[:3] and best.by == "direct"
    parts = [probe.top_units(toy, PROMPT, target=t, by="write", k=4 * 128) for t in (" capital", " the")]
    apart = [{r.name: r.direct for r in one.at(-1)} for one in parts]
    for row in every.at(-1):
        assert row.direct == pytest.approx(apart[0][row.name] - apart[1][row.name], abs=1e-4)
    with pytest.raises(BadInput, match='one of "write", "direct" was wanted'):
        probe.top_units(toy, PROMPT, by="size")


def test_one_target_goes_by_its_older_names_too(toy):
    other = "When Rome and John went"
    pairs = [
        circuits.read_pair(toy, PROMPT, other, **asked)
        for asked in ({"target": Difference(" the", 7)}, {"answers": (" the", 7)}, {"target": [" the", 7]})
    ]
    assert len({p.clean.value for p in pairs}) == 1 and pairs[0].answers_given
    small = circuits.TraceConfig(max_nodes=4)
    graphs = [
        circuits.trace(toy, PROMPT, config=small, **asked) for asked in ({"target": " the"}, {"targets": [" the"]})
    ]
    assert graphs[0].nodes.value == pytest.approx(graphs[1].nodes.value, nan_ok=True)
    with pytest.raises(BadInput, match="targets and target name the same thing"):
        circuits.trace(toy, PROMPT, target=" the", targets=[" the"])
    with pytest.raises(BadInput, match="difference of two tokens"):
        probe.follow_token(toy, PROMPT, Difference(" the", 7))


# -- sites ---------------------------------------------------------------------------------------------------------------


def test_captured_activations_answer_to_every_spelling(toy):
    found = probe.capture(toy, PROMPT, ["resid_post.3", "blocks.1.hook_out"])
    assert list(found) == ["blocks.1.hook_resid_post", "blocks.3.hook_resid_post"]
    last = found["blocks.3.hook_resid_post"]
    for name in ("resid_post.3", "resid_post.-1", "blocks.3.hook_out", Site("resid_post", 3)):
        assert found[name] is last and name in found and found.get(name) is last
    assert "resid_post.0" not in found and "nonsense" not in found and found.get("resid_post.0") is None
    for wrong, said in (("resid_post.0", "was not read"), ("resid_pots.3", "Did you mean"), (5, "named in text")):
        with pytest.raises(BadInput, match=said):
            found[wrong]


def test_all_layers_and_layers_from_the_end(toy):
    for every in ("resid_post.*", "resid_post", ["resid_post.*", "resid_post.2"], Site("resid_post")):
        assert list(probe.capture(toy, PROMPT, every)) == [f"blocks.{i}.hook_resid_post" for i in range(4)]
    assert parse_site("resid_post.-4", toy) == Site("resid_post", 0)
    assert [s.short for s in parse_sites(["embed", "mlp_in.-1", "z"], toy)] == [
        "embed",
        "z.0",
        "z.1",
        "z.2",
        "z.3",
        "mlp_in.3",
    ]
    for wrong, said in (
        ("resid_post.-5", "layers 0 to 3"),
        ([], "No site"),
        ("pos_embed", "no 'pos_embed'"),
        ("x.*", "no site"),
    ):
        with pytest.raises(BadInput, match=said):
            probe.capture(toy, PROMPT, wrong)
    with pytest.raises(BadInput, match="from the end"):
        parse_site("resid_post.-1")


# -- changes -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sae(toy):
    made = Transcoder(64, 96, sparsifier=ReLU(), site_in="mlp_in.1", site_out="mlp_out.1")
    with torch.no_grad():
        made.W_dec.copy_(made.W_enc.T)  # it starts at nothing
    return made


def logits(model, changes, **options):
    with torch.no_grad(), probe.intervene(model, changes, **options):
        return model(torch.tensor([encode_prompt(model, PROMPT)]))


def test_units_are_changed_by_their_names(toy, sae):
    """Every spelling of a change against the same made by hand; the latents against their edit."""
    head, neuron, sites = probe.head(1, 2, 3), probe.neuron(2, 5), probe.resid_post(1)
    up = torch.ones(64)
    same = [
        ("zero:L1H2@3", probe.Zero("L1H2@3"), "ablate:L1H2@3", probe.Zero(head)),
        (
            "scale=2:L2N5",
            probe.Scale("L2N5", 2.0),
            probe.UnitEdit("scale", 5, amount=2.0, layer=2),
            probe.Scale(neuron, 2.0),
        ),
        ("clamp=3:L2N5@-1", probe.Clamp("L2N5@-1", 3.0), probe.Clamp(probe.neuron(2, 5, -1), 3.0)),
        ("steer=4:L2N5", "add=4:L2N5", probe.Steer("L2N5", scale=4.0), probe.Steer(neuron, torch.ones(()), 4.0)),
        (probe.Steer("resid_post.-3", up), probe.Steer("resid_post.1", up), probe.Steer(sites, up)),
        ("zero:mlp_out.-1", probe.Zero("blocks.3.mlp.hook_out"), probe.Zero(probe.mlp_out(3))),
        ("clamp=8:L1F7@2", probe.Clamp("L1F7@2", 8.0), probe.UnitEdit("clamp", 7, 2, 8.0, dictionary=sae)),
        (
            "steer=8:L1F7@2:",
            probe.Steer("L1F7@2:", scale=8.0),
            probe.UnitEdit("add", 7, slice(2, None), 8.0, dictionary=sae),
        ),
        ("ablate:L1F7", probe.Zero("L1F7"), probe.UnitEdit("zero", 7, dictionary=sae)),
    ]
    plain = logits(toy, [])
    for one in same:
        found = [logits(toy, [change], dictionaries=[sae]) for change in one]
        assert all(torch.equal(found[0], other) for other in found[1:]), one
        assert not torch.equal(found[0], plain), one


def test_changes_by_name_run_and_generate(toy, sae):
    found = probe.edited_run(toy, PROMPT, ["zero:L1H2", "clamp=8:L1F7@3"], dictionaries=[sae], generate=2)
    assert found.edits == ["ablate L1H2", "clamp L1F7@3"]
    assert probe.generate_with(toy, PROMPT, "zero:L1H2", 2).edits == ["ablate L1H2"]
    assert repr(probe.Zero("L1F7")) == "Zero(L1F7)" and repr(probe.Zero("resid_post.-1")) == "Zero(resid_post.-1)"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("zero:L1F7", "give the one dictionary of layer 1"),
        (probe.Zero("L1F7"), "give the one dictionary of layer 1"),
        ("zero:L2F7", "Given were"),
        ("zap:L1H2", "is no change"),
        ("L1X2", "no unit and no site"),
        ("scale:L1H2", "by how much"),
        ("zero=3:L1H2", "takes no amount"),
        ("scale=much:L1H2", "no number"),
        ("zero:L1H2@last", "no position"),
        ("zero:resid_pots.1", "Did you mean"),
        ("zero:L9H2", "layers 0 to 3"),
        ("zero:L1H9", "no head L1H9"),
        ("steer=1:L1H2", "no direction of its own"),
        (probe.Steer("resid_post.1", scale=2.0), "needs a direction"),
        (probe.Steer("L1F7", torch.ones(64)), "Steer without a direction"),
        (probe.Freeze("L1F7", torch.ones(1)), "Freeze cannot change L1F7"),
        (3, "int 3 is no change"),
    ],
)
def test_what_is_no_change_is_answered_in_a_sentence(toy, sae, change, said):
    learned = [] if "1F7" in str(change) and "give the" in said else [sae]
    with pytest.raises(BadInput, match=said):
        probe.edited_run(toy, PROMPT, [change], dictionaries=learned)


def test_a_record_of_ids_opens_only_where_its_text_is_read_the_same(toy, ids, home):
    from app.server import record_pages as views

    assert views.path_of(probe.logit_lens(toy, ids)) == views.path_of(probe.logit_lens(toy, PROMPT))
    with pytest.raises(BadInput, match="does not become again"):
        views.path_of(probe.logit_lens(toy, ids[1:]))


def test_a_difference_root_has_the_probabilities_of_both_tokens(toy):
    first, other = token_id(toy, " capital"), token_id(toy, " the")
    graph = circuits.trace(toy, PROMPT, target=Difference(first, other), config=circuits.TraceConfig(max_nodes=20))
    clean = logits(toy, [])[0, -1].softmax(-1)
    target = graph.report()["targets"][0]
    assert [target["probability"], target["other_probability"]] == pytest.approx(
        [float(clean[i]) for i in (first, other)], rel=1e-4
    )
    unit = int(np.flatnonzero(graph.nodes.where("neuron"))[0])
    test = circuits.check_subgraph(toy, graph, [unit], n_random=2)
    layer, pos, number = (int(getattr(graph.nodes, n)[unit]) for n in ("layer", "pos", "unit"))
    after = logits(toy, [f"zero:L{layer}N{number}@{pos}"])[0, -1].softmax(-1)
    row = test.rows()[0]
    assert [row["probability_after"], row["other_probability_after"]] == pytest.approx(
        [float(after[i]) for i in (first, other)], rel=1e-4
    )
    assert [row["probability"], row["other_probability"]] == pytest.approx(
        [float(clean[i]) for i in (first, other)], rel=1e-4
    )
    assert {c.measure for c in test.comparisons} == {"change of the top root", "change of its probability", "KL (nats)"}


def test_units_are_read_by_their_names_too(toy, sae):
    from probe.features.on_text import on_text

    assert np.array_equal(read_head(toy, PROMPT, "L1H2").pattern, read_head(toy, PROMPT, 1, 2).pattern)
    assert probe.ablate_head(toy, PROMPT, "L1H2")[0].at == probe.ablate_head(toy, PROMPT, 1, 2)[0].at
    assert np.array_equal(on_text(toy, PROMPT, "L2N5").values, on_text(toy, PROMPT, 5, layer=2).values)
    assert np.array_equal(
        on_text(toy, PROMPT, "L1F7", dictionary=sae).values, on_text(toy, PROMPT, 7, dictionary=sae).values
    )
    for ask, said in (
        (lambda: read_head(toy, PROMPT, "L1N2"), "is no head"),
        (lambda: read_head(toy, PROMPT, 1), "Which head of layer 1"),
        (lambda: read_head(toy, PROMPT, "L9H2"), "this model has layers 0 to 3"),
        (lambda: on_text(toy, PROMPT, "L1F7"), "not one unit"),
        (lambda: on_text(toy, PROMPT, "L2F7", dictionary=sae), "not one unit"),
        (
            lambda: on_text(toy, PROMPT, "seven"),
            r"^unit-on-text: unit is 'seven'; a unit \(L5H3, L5N120, L5F650\) was wanted\.$",
        ),
    ):
        with pytest.raises(BadInput, match=said):
            ask()


# -- models --------------------------------------------------------------------------------------------------------------


def transformers_model():
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = AutoConfig.for_model("llama", vocab_size=466, bos_token_id=1, eos_token_id=2, **sizes)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


def test_a_loaded_model_is_taken_as_it_is(toy, ids):
    from probe.model.toy import toy_tokenizer

    plain = transformers_model()
    with torch.no_grad():
        wanted = plain(torch.tensor([ids])).logits
    model = probe.load_model(plain, tokenizer=toy_tokenizer())
    assert torch.allclose(model(torch.tensor([ids])), wanted, atol=1e-5)
    assert probe.logit_lens(model, PROMPT).token_ids == ids and probe.stamp(model).name == "LlamaForCausalLM"
    assert probe.capture(model, PROMPT, "pattern.1")["pattern.1"].shape == (1, 4, len(ids), len(ids))
    assert (
        probe.load_model(model) is model
        and probe.load_model(transformers_model(), tokenizer=toy_tokenizer(), dtype="float64").W_E.dtype
        == torch.float64
    )


def test_what_is_no_model_is_answered_in_a_sentence(toy):
    for wrong, options, said in (
        (transformers_model(), {}, "came without a tokenizer"),
        (torch.nn.Linear(1, 1), {}, "Linear came"),
        (3, {}, "int came"),
        (None, {}, "NoneType came"),
        (toy, {"dtype": "float64"}, "taken as it is"),
        (probe.Zero("L1H2"), {}, "Zero came"),
        ("toy", {"tokenizer": toy.tokenizer}, "comes with its tokenizer"),
    ):
        with pytest.raises(BadInput, match=said):
            probe.load_model(wrong, **options)
