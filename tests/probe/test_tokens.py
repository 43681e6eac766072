import copy
import random
from types import SimpleNamespace

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers_alone import holder
from transformers import PreTrainedTokenizerFast

from probe.errors import BadInput
from probe.text.display import as_text, end_tokens, stand_ins
from probe.text.documents import Document, corpus
from probe.text.tokens import display_tokens, encode_prompt, token_bytes, tokenize

STRANGE = [
    "The capital of France is",
    "🙂 naïve — “quoted” \u202e\u200d e\u0301 日本語",
    "<script>alert('x')</script>\x00\x1b[31m\r\n\t  ",
    "<0x0A> ▁ Ġ Ċ ⟨e2 80⟩ [0] {x} %s </s",
    "👩‍👩‍👧‍👦🇫🇷",
]


@pytest.fixture(scope="module")
def gpt_like():
    """Byte-level BPE trained on the bundled corpus, without BOS, as GPT-NeoX and Qwen are."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|end|>"],
        show_progress=False,
    )
    backend.train_from_iterator([next(corpus("sotu")).text], trainer)
    return holder(PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>"))


@pytest.fixture(scope="module")
def llama_like():
    """SentencePiece-like: `▁` for a space, `<0x0A>` for bytes outside the vocabulary, BOS."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "▁", *"abcdefgh", "▁a", "▁b", "c▁"]
    merges = [("▁", "a"), ("▁", "b"), ("c", "▁")]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    backend = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens([AddedToken(t, special=True) for t in ("<unk>", "<s>", "</s>")])
    return holder(
        PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    )


def test_runs_of_spaces_that_were_added_are_spaces(llama_like):
    """As Gemma's vocabulary has them; a mark that is written with the same sign stays as it is written."""
    tokenizer = copy.deepcopy(llama_like.tokenizer)
    tokenizer.add_tokens([AddedToken("▁▁▁", special=False, normalized=False)])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<turn▁end>"]})
    model, ids = holder(tokenizer), tokenizer.convert_tokens_to_ids(["▁▁▁", "<turn▁end>", "▁a"])
    assert token_bytes(model, ids) == [b"   ", "<turn▁end>".encode(), b" a"]
    assert token_bytes(model, ids[:1]) == [tokenizer.decode(ids[:1]).encode()]


def test_a_vocabulary_is_listed_once(llama_like, monkeypatch):
    tokenizer = copy.deepcopy(llama_like.tokenizer)
    listed = []
    plain = type(tokenizer).added_tokens_decoder.fget
    monkeypatch.setattr(type(tokenizer), "added_tokens_decoder", property(lambda self: listed.append(1) or plain(self)))
    model = holder(tokenizer)
    assert [token_bytes(model, [i]) for i in range(263)][-1] == [b"c"] and len(listed) == 1
    tokenizer.add_tokens(["zzz"])
    assert token_bytes(model, [len(tokenizer) - 1]) == [b"zzz"] and len(listed) == 2


def test_marks_in_a_text_are_special_and_so_is_what_a_row_begins_with(llama_like, gpt_like):
    tokenizer = copy.deepcopy(llama_like.tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    kept = tokenize(holder(tokenizer), ["a b<|turn|>a b Z a b a b a b"], context=16)
    turn, unknown = tokenizer.convert_tokens_to_ids("<|turn|>"), tokenizer.unk_token_id
    marked = kept.tokens[kept.special].tolist()
    assert turn in marked and unknown not in marked and kept.special[0, 0]
    assert kept.special.sum() == 2 + (kept.tokens == tokenizer.pad_token_id).sum() if tokenizer.pad_token else True
    rows = tokenize(
        gpt_like, ["The state of the union is what it is, and nothing else is to be said of it."], context=8
    )
    assert rows.special[:, 0].all() and not rows.special[0, 1:].any()


def test_all_tokens_that_end_a_text_are_known(toy):
    config = SimpleNamespace(eos_token_id=2)
    original = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=[2, 106]), config=config)
    assert end_tokens(SimpleNamespace(tokenizer=toy.tokenizer, original_model=original)) == {0, 1, 2, 106}
    assert end_tokens(SimpleNamespace(tokenizer=None, original_model=SimpleNamespace(config=config))) == {2}
    assert end_tokens(toy) >= {toy.tokenizer.eos_token_id}


def test_stand_ins_are_those_of_the_tokenizers_library():
    assert set(stand_ins()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(stand_ins().values()) == list(range(256))
    assert stand_ins()["Ġ"] == 0x20 and stand_ins()["Ċ"] == 0x0A


@pytest.mark.parametrize("text", STRANGE)
@pytest.mark.parametrize("kind", ["gpt_like", "llama_like", "toy"])
def test_bytes_of_the_tokens_are_the_bytes_of_the_text(kind, text, request):
    model = request.getfixturevalue(kind)
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    if kind == "llama_like":
        text = text.replace("▁", " ")  # SentencePiece writes both alike
        if "<0x0A>" in text:
            pytest.skip("this vocabulary reads <0x0A> as a byte")
    assert b"".join(token_bytes(model, ids)) == text.encode()
    assert all("\ufffd" not in shown for shown in display_tokens(model, ids))


def test_a_split_emoji_is_shown_in_hex(gpt_like):
    ids = gpt_like.tokenizer(" 🙂", add_special_tokens=False)["input_ids"]
    assert len(ids) > 1
    assert "".join(display_tokens(gpt_like, ids)).replace("⟩⟨", " ") == " ⟨f0 9f 99 82⟩"


def test_sentencepiece_bytes_and_specials(llama_like):
    ids = encode_prompt(llama_like, "a b\né")
    assert display_tokens(llama_like, ids) == ["<s>", "a", " b", "\n", "⟨c3⟩", "⟨a9⟩"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"", ""),
        (b"plain", "plain"),
        ("é—🙂".encode(), "é—🙂"),
        (b"\xe2\x80", "⟨e2 80⟩"),
        (b" \xf0\x9f", " ⟨f0 9f⟩"),
        (b"\x99\x82 a", "⟨99 82⟩ a"),
        (b"\xff\xfea\xc3", "⟨ff fe⟩a⟨c3⟩"),
        (b"\xc3\xc3\xa9", "⟨c3⟩é"),
    ],
)
def test_broken_utf8_keeps_what_is_whole(raw, shown):
    assert as_text(raw) == shown


def test_as_text_never_fails_and_never_loses_a_byte():
    rng = random.Random(0)
    for _ in range(500):
        raw = bytes(rng.choices(b"ab\xc3\xa9\xe2\x80\x94\xf0\x9f\x99\x82\xff", k=rng.randrange(12)))
        back, rest = b"", as_text(raw)
        while rest:
            if rest[0] == "⟨":
                back, rest = back + bytes.fromhex(rest[1 : rest.index("⟩")]), rest[rest.index("⟩") + 1 :]
            else:
                back, rest = back + rest[0].encode(), rest[1:]
        assert back == raw


def test_ids_outside_the_vocabulary_are_named(toy):
    assert display_tokens(toy, torch.tensor([0, 1, 10**6, -1])) == ["<pad>", "<bos>", "⟨id 1000000⟩", "⟨id -1⟩"]


def test_prompts_are_encoded_as_transformer_lens_does(toy):
    for text in STRANGE:
        assert encode_prompt(toy, text) == toy.to_tokens(text)[0].tolist()
        assert encode_prompt(toy, text, prepend_bos=False) == toy.to_tokens(text, prepend_bos=False)[0].tolist()


def test_bos_is_not_doubled_and_not_invented(toy, gpt_like):
    assert encode_prompt(toy, "<bos>Hi") == encode_prompt(toy, "Hi")
    assert encode_prompt(gpt_like, "Hi") == gpt_like.tokenizer("Hi")["input_ids"]


def test_bad_prompts(toy, gpt_like):
    with pytest.raises(BadInput, match="empty"):
        encode_prompt(toy, "")
    with pytest.raises(BadInput, match=r"has \d{3,} tokens and this model reads at most 64"):
        encode_prompt(gpt_like, "one two three " * 100)
    with pytest.raises(BadInput, match="no tokenizer"):
        encode_prompt(holder(None), "Hi")


def test_windows_cover_each_document_once(toy):
    documents = [d for d, _ in zip(corpus("sotu"), range(2))] + [Document("short", "Hi")]
    tokens = tokenize(toy, documents, context=32)
    assert tokens.documents == [d.id for d in documents]
    assert tokens.tokens.dtype == torch.int64 and tokens.doc.dtype == torch.int32
    bos = toy.tokenizer.bos_token_id
    assert (tokens.tokens[:, 0] == bos).all() and tokens.special[:, 0].all()
    for index, document in enumerate(documents):
        rows = tokens.doc == index
        text = b"".join(token_bytes(toy, tokens.tokens[rows][~tokens.special[rows]].tolist()))
        assert document.text.encode().startswith(text)
        ids = toy.tokenizer(document.text, add_special_tokens=False)["input_ids"]
        assert 0 <= len(ids) - int((~tokens.special[rows]).sum()) < 8
    assert tokens.n_text == int((~tokens.special).sum()) < tokens.tokens.numel()


def test_tails_are_padded_or_dropped(gpt_like):
    ids = gpt_like.tokenizer(next(corpus("sotu")).text, add_special_tokens=False)["input_ids"]
    text = gpt_like.tokenizer.decode(ids[:40])
    assert len(gpt_like.tokenizer(text)["input_ids"]) == 40
    kept = tokenize(gpt_like, [text], context=16)
    assert kept.tokens.shape == (3, 16) and kept.special.sum() == 3 + 8 and kept.special[2, 8:].all()
    assert tokenize(gpt_like, [text], context=36).tokens.shape == (1, 36)  # a rest of 4 is not worth a row
    assert tokenize(gpt_like, ["Hi"], context=36).tokens.shape == (1, 36)  # but a short document is kept


def test_max_tokens_stops_reading(gpt_like):
    def endless():
        while True:
            yield "We the people of the United States, in order to form a more perfect union. " * 4000

    tokens = tokenize(gpt_like, endless(), context=64, max_tokens=1000)
    assert tokens.tokens.shape == (15, 64) and tokens.documents == ["0"]


def test_padding_is_special_even_where_it_is_an_ordinary_token(toy):
    tokens = tokenize(toy, ["Hello there"], context=32)
    n = len(encode_prompt(toy, "Hello there"))
    assert tokens.special[0].tolist() == [True] + [False] * (n - 1) + [True] * (32 - n)


def test_bad_requests(toy):
    with pytest.raises(BadInput, match="context of 1000 tokens does not fit: this model reads 2 to 512"):
        tokenize(toy, ["x"], context=1000)
    with pytest.raises(BadInput, match="less than one row"):
        tokenize(toy, ["x"], context=64, max_tokens=10)
    with pytest.raises(BadInput, match="no text"):
        tokenize(toy, [])


@pytest.mark.model
def test_default_tokenizer_on_the_corpus(default_model):
    document = next(corpus("sotu", seed=0))
    tokens = tokenize(default_model, [document], context=128)
    assert b"".join(token_bytes(default_model, tokens.tokens[~tokens.special].tolist())) in document.text.encode()
    assert display_tokens(default_model, encode_prompt(default_model, "Paris is")) == ["<|im_start|>", "Paris", " is"]
