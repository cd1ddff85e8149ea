"""Tokens of the texts of examples."""

import types

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import decode
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import texts
from jmim.data import tokenizers

WORDS = dict(tokenizer="words:scenes", text_length=6)


def settings(**changes):
  return pipeline.Spec(batch=4, size=4, threads=0, **(WORDS | changes))


def numbers(text):
  return tokenizers.open("words:scenes").numbers(text)


@pytest.mark.parametrize(
  ("start", "end", "wanted"),
  [
    (1, 2, [1, *numbers("a red cross"), 2, 0]),
    (-1, 2, [*numbers("a red cross"), 2, 0, 0]),
    (1, -1, [1, *numbers("a red cross"), 0, 0]),
    (-1, -1, [*numbers("a red cross"), 0, 0, 0]),
  ],
)
def test_a_text_has_its_start_its_end_and_padding(start, end, wanted):
  made = texts.of(settings(text_start=start, text_end=end))
  tokens = made.tokens("a red cross")
  assert tokens.dtype == np.int32 and tokens.tolist() == wanted
  assert made.text(tokens) == "a red cross"


def test_padding_may_be_the_end():
  made = texts.of(settings(text_pad=2))
  assert made.tokens("a cross")[-3:].tolist() == [2, 2, 2]
  assert made.text(made.tokens("a cross")) == "a cross"
  assert made.text(made.tokens("")) == ""


def test_what_is_too_long_is_cut_and_ends_all_the_same():
  made = texts.of(settings())
  tokens = made.tokens("a red striped circle at the top left")
  assert tokens.tolist() == [1, *numbers("a red striped circle"), 2]


def test_of_several_texts_training_draws_one_and_evaluation_has_the_first():
  made = texts.of(settings())
  example = {"caption": np.array([b"a circle", b"a cross", b"a square"])}
  said = lambda *rng: made.text(made.of(example, ["tokens"], *rng)["tokens"])
  assert said() == "a circle"
  rng = np.random.default_rng(0)
  assert {said(rng) for _ in range(30)} == {"a circle", "a cross", "a square"}


def test_words_are_marked_where_the_tokens_have_them():
  one = texts.of(settings(text_length=8, text_words=("circle cross",)))
  example = {"caption": "a red circle above a cross", "label": 1}
  found = one.of(example, ("tokens", "marks"))
  assert found["marks"].tolist() == [0, 0, 0, 1, 0, 0, 1, 0]
  assert list(one.of(example, ("marks",))) == ["marks"]
  each = settings(text_length=8, text_words=("circle", "red cross"))
  assert texts.of(each).of(example, ("marks",))["marks"].nonzero()[
    0
  ].tolist() == [
    2,
    6,
  ]


def test_marks_are_of_the_text_that_was_drawn():
  made = texts.of(settings(text_words=("circle",)))
  example = {"caption": np.array([b"a circle", b"a cross"])}
  rng = np.random.default_rng(0)
  for _ in range(10):
    found = made.of(example, ("tokens", "marks"), rng)
    assert found["marks"].any() == ("circle" in made.text(found["tokens"]))


@pytest.mark.parametrize(
  ("words", "example", "said"),
  [
    (("circle", "cross"), {"label": 2}, "label 2"),
    (("circle", "cross"), {}, "label None"),
    (("dog",), {}, "'dog'"),
  ],
)
def test_words_that_nobody_has_are_named(words, example, said):
  with pytest.raises(errors.UserError, match=said) as caught:
    texts.of(settings(text_words=words)).of(
      {"caption": "a cross"} | example, ("marks",)
    )
  assert caught.value.key == "data.text_words"


@pytest.mark.parametrize("changes", [dict(tokenizer=""), dict(text_words=(3,))])
def test_words_need_a_tokenizer_and_are_texts(changes):
  with pytest.raises(errors.UserError, match="data.text_words"):
    settings(**({"text_words": ("circle",)} | changes))


@pytest.mark.parametrize("value", [3, [], [[b"a"]], [4.0]])
def test_what_is_no_text_is_a_bad_record(value):
  with pytest.raises(decode.BadImage, match="caption is no text"):
    texts.of(settings()).of({"caption": value}, ["tokens"])


def test_one_text_for_all_and_further_texts_under_names_of_their_own():
  spec = settings(text="", prompt="a cross", texts=(("target", "said"),))
  batch = next(pipeline.training_batches(source(), spec))
  known = texts.of(spec)
  said = lambda name: [known.text(t) for t in batch[name]]
  assert said("tokens") == ["a cross"] * 4
  assert said("target") == [source()[i]["said"] for i in batch["index"]]
  reads = (("target", None),)
  batch = next(
    pipeline.training_batches(source(), settings(texts=spec.texts, reads=reads))
  )
  assert batch.keys() == {"target", "index", "image"}
  # None at all: what models of texts are told that read no text.
  empty = texts.of(settings(text=""))
  assert empty.of({}, ["tokens"])["tokens"].tolist() == [1, 2, 0, 0, 0, 0]


@pytest.mark.parametrize("around", [(1, 2), (-1, 2), (-1, -1)])
def test_a_text_for_all_is_told_whole_or_refused(around):
  """What an example stores is cut; what the config says is not."""
  start, end = around
  prompt = "a red striped circle"
  length = 4 + (start >= 0) + (end >= 0)
  asked = dict(text="", prompt=prompt, text_start=start, text_end=end)
  made = texts.of(settings(**asked, text_length=length))
  assert made.text(made.of({}, ["tokens"])["tokens"]) == prompt
  with pytest.raises(errors.UserError, match=f"{length} tokens") as caught:
    settings(**asked, text_length=length - 1)
  assert caught.value.key == "data.text_length"


def test_a_tokenizer_of_a_file_is_asked_when_it_is_opened(monkeypatch):
  spec = settings(text="", prompt="a red cross", tokenizer="file:t.json")
  known = tokenizers.open("words:scenes")
  monkeypatch.setattr(tokenizers, "open", lambda name: known)
  assert texts.of(spec).prompt == "a red cross"
  spec = settings(text="", prompt="a red " * 3, tokenizer="file:t.json")
  with pytest.raises(errors.UserError, match="8 tokens, 2 around"):
    texts.of(spec)


def source(n=8):
  image = np.zeros((n, 4, 4, 3), np.uint8)
  words = [f"a {c} cross" for c in ("red", "green", "blue", "purple")] * 2
  return sources.ArraySource({"image": image, "said": words})


def test_batches_hold_tokens_the_same_on_any_number_of_hosts():
  spec = settings(text="said")
  batch = lambda **host: next(pipeline.training_batches(source(), spec, **host))
  whole = batch()
  assert whole["tokens"].shape == (4, 6) and "said" not in whole
  known = texts.of(spec)
  for index, tokens in zip(whole["index"], whole["tokens"], strict=True):
    assert known.text(tokens) == source()[index]["said"]
  parts = [batch(process_index=i, process_count=2)["tokens"] for i in (0, 1)]
  np.testing.assert_array_equal(np.concatenate(parts), whole["tokens"])


def test_texts_alone_are_examples():
  spec = settings(text="said", reads=(("tokens", None),))
  words = sources.ArraySource({"said": ["a cross"] * 4})
  batch = next(pipeline.training_batches(words, spec))
  assert batch.keys() == {"tokens", "index"}


def test_what_nobody_reads_is_not_made():
  spec = settings(text="nothing", reads=(("image", None),))
  assert "tokens" not in next(pipeline.training_batches(source(), spec))


def test_a_text_that_is_missing_is_named():
  with pytest.raises(errors.UserError, match="image, said") as caught:
    next(pipeline.training_batches(source(), settings()))
  assert caught.value.key == "data.text"


@pytest.mark.parametrize(
  ("changes", "key"),
  [
    (dict(tokenizer="word:scenes"), "data.tokenizer"),
    (dict(prompt="a cross"), "data.prompt"),
    (dict(texts=(("tokens", "said"),)), "data.texts"),
    (dict(texts=(("image", "said"),)), "data.texts"),
    (dict(texts=(("a", "said"), ("a", "said"))), "data.texts"),
    (dict(texts=(("a",),)), "data.texts"),
    (dict(texts=("ab",)), "data.texts"),
    (dict(texts=(("a", ""),)), "data.texts"),
    (dict(text_length=2), "data.text_length"),
  ],
)
def test_settings_that_cannot_be_followed(changes, key):
  with pytest.raises(errors.UserError) as caught:
    settings(**changes)
  assert caught.value.key == key


def test_a_file_is_not_looked_at_before_it_is_needed():
  spec = settings(tokenizer="file:/no/such.json")
  with pytest.raises(errors.UserError, match="no file"):
    texts.of(spec)


@pytest.mark.parametrize("name", ["start", "end", "pad"])
def test_a_special_token_is_one_of_the_tokenizer(name):
  with pytest.raises(errors.UserError) as caught:
    texts.of(settings(**{f"text_{name}": 49_407}))
  assert caught.value.key == f"data.text_{name}"


def test_what_is_kept_of_a_tokenizer(monkeypatch):
  assert texts.facts(settings(tokenizer="")) == {}
  assert texts.protocol({"tokenizer": "", "text": "said"}) == {}
  kept = texts.facts(settings())
  assert kept["tokenizer"] == "words:scenes" and "circle" in kept["alphabet"]
  # Of a file the hash: where it lies means nothing elsewhere.
  file = types.SimpleNamespace(digest="ab12", words=())
  monkeypatch.setattr(tokenizers, "open", lambda name: file)
  section = {k: getattr(settings(tokenizer="file:F"), k) for k in texts.KEYS}
  told = texts.protocol(section)
  assert told["data.tokenizer"] == "file of sha256 ab12"
  assert told["data.text_length"] == 6 and len(told) == len(texts.KEYS)
  kept = texts.facts(settings(tokenizer="file:F"))
  assert kept == {"alphabet": [], "tokenizer": "file of sha256 ab12"}
