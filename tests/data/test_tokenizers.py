"""Texts to numbers and back."""

import json
import pickle

import pytest

from jmim.core import errors
from jmim.data import tokenizers
from jmim.data.procedural import described

CAPTION = "a red striped circle at the top left"


@pytest.fixture
def file(tmp_path):
  """A tokenizer.json of five words that is lower case and adds an end."""
  pytest.importorskip("tokenizers")
  special = {"id": 0, "content": "<end>", "special": True}
  flags = ("single_word", "lstrip", "rstrip", "normalized")
  content = {
    "version": "1.0",
    "truncation": {
      "direction": "Right",
      "max_length": 2,
      "strategy": "LongestFirst",
      "stride": 0,
    },
    "padding": None,
    "added_tokens": [special | dict.fromkeys(flags, False)],
    "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {
      "type": "TemplateProcessing",
      "single": [
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "<end>", "type_id": 0}},
      ],
      "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {
        "<end>": {"id": "<end>", "ids": [0], "tokens": ["<end>"]}
      },
    },
    "decoder": None,
    "model": {
      "type": "WordLevel",
      "vocab": {"<end>": 0, "[UNK]": 1, "a": 2, "red": 3, "dot": 7},
      "unk_token": "[UNK]",
    },
  }
  path = tmp_path / "tokenizer.json"
  path.write_text(json.dumps(content))
  return path


def test_words_of_a_builder_begin_at_four_and_come_back():
  words = tokenizers.open("words:scenes")
  known = [word for word in described.WORDS if word]
  assert words.words == (*tokenizers.SPECIAL, *known)
  assert words.size == len(known) + 4 and words.digest == ""
  numbers = words.numbers(CAPTION)
  assert numbers[0] == 4 + known.index("a") and min(numbers) >= 4
  assert words.text(numbers) == CAPTION
  assert words.numbers(f"  {CAPTION}\n") == numbers


def test_an_unknown_word_is_one_number_and_is_shown_as_such():
  words = tokenizers.open("words:scenes")
  assert words.numbers("a purple-ish cross")[1] == tokenizers.UNKNOWN
  assert words.text(words.numbers("a zebra")) == "a <unknown>"
  # The words of special tokens are no special tokens.
  assert words.numbers("<end>") == [tokenizers.SPECIAL.index("<end>")]


@pytest.mark.parametrize("text", ["", CAPTION, "Größe 3 µm\n", "\0\x7f", "猫"])
def test_bytes_come_back(text):
  as_bytes = tokenizers.open("bytes")
  numbers = as_bytes.numbers(text)
  assert len(numbers) == len(text.encode())
  assert all(4 <= n < as_bytes.size for n in numbers)
  assert as_bytes.text(numbers) == text


def test_half_a_character_is_shown_as_such():
  as_bytes = tokenizers.open("bytes")
  assert as_bytes.text(as_bytes.numbers("é")[:1]) == "\N{REPLACEMENT CHARACTER}"


def test_a_file_is_read_without_what_it_adds_or_cuts(file):
  read = tokenizers.open(f"file:{file}")
  assert read.numbers("A red RED dot") == [2, 3, 3, 7]
  assert read.numbers("a blue dot") == [2, 1, 7]
  assert read.text([2, 3, 7]) == "a red dot"
  assert read.size == 8  # above the greatest number, whatever is missing
  assert len(read.digest) == 64


def test_a_file_travels_to_workers(file):
  read = pickle.loads(pickle.dumps(tokenizers.open(f"file:{file}")))
  assert read.numbers("a red dot") == [2, 3, 7]


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
  def missing(name):
    raise ImportError(name)

  path = tmp_path / "t.json"
  path.write_text("{}")
  monkeypatch.setattr(tokenizers.importlib, "import_module", missing)
  with pytest.raises(errors.UserError, match=r"jmim\[text\]"):
    tokenizers.File(path)


def test_what_is_no_tokenizer_json_is_named(tmp_path):
  pytest.importorskip("tokenizers")
  path = tmp_path / "config.json"
  path.write_text('{"model": 3}')
  with pytest.raises(errors.UserError, match="config.json") as caught:
    tokenizers.open(f"file:{path}")
  assert caught.value.key == "data.tokenizer"


@pytest.mark.parametrize(
  ("name", "word"),
  [
    ("word:scenes", "'words:NAME'"),
    ("words:", "'words:NAME'"),
    ("file:", "'file:PATH'"),
    ("bytes:3", "'bytes'"),
    ("words:nothing", "declares WORDS"),
    ("words:markov", "declares WORDS"),
    ("words:../scenes", "declares WORDS"),
    ("file:/no/such.json", "no file /no/such.json"),
  ],
)
def test_another_name_is_refused(name, word):
  with pytest.raises(errors.UserError, match=word) as caught:
    tokenizers.open(name)
  assert caught.value.key == "data.tokenizer"
