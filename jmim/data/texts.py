"""Tokens of the texts of an example: what `data.text` and its kin ask for.

    tokens [l]   start, the text, end, padding
    marks  [l]   1 where a token is one of `data.text_words`, else 0

Of a stored text that is too long the rest is cut off, the end stays; a text for
all (`data.prompt`) is refused then. Of several texts that an example stores
under one name training draws one, evaluation has the first. `data.texts` makes
further entries of other texts in the same way.
"""

import dataclasses
import functools
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core.settings import data as settings
from jmim.data import decode
from jmim.data import entries
from jmim.data import tokenizers

# Keys of `data` that say what tokens are.
KEYS = (
  "tokenizer",
  "text",
  "prompt",
  "texts",
  "text_words",
  "text_length",
  "text_start",
  "text_end",
  "text_pad",
)


MARKS = "marks"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Texts:
  """What makes tokens of texts.

  Attributes:
    tokenizer: of the texts.
    names: entry of a batch -> the stored text it is made of; "": of `prompt`.
    prompt: text of every example.
    length: tokens, start, end and padding included.
    start: token before a text; -1: none.
    end: token after it; -1: none.
    pad: token that fills up.
    words: tokens that are marked: of all examples, or of each label.
  """

  tokenizer: tokenizers.Tokenizer
  names: Mapping[str, str]
  prompt: str
  length: int
  start: int
  end: int
  pad: int
  words: Sequence[Sequence[int]] = ()

  def tokens(self, text: str) -> np.ndarray:
    """int32 [length]."""
    first = [self.start] * (self.start >= 0)
    last = [self.end] * (self.end >= 0)
    room = self.length - len(first) - len(last)
    said = [*first, *self.tokenizer.numbers(text)[:room], *last]
    filled = [*said, *[self.pad] * (self.length - len(said))]
    return np.array(filled, np.int32)

  def text(self, tokens: Sequence[int]) -> str:
    """What tokens [l] say: after the start, up to the end or the padding."""
    said = [int(i) for i in tokens]
    said = said[said[:1] == [self.start] :]
    if self.end in said:
      return self.tokenizer.text(said[: said.index(self.end)])
    while said[-1:] == [self.pad]:
      said.pop()
    return self.tokenizer.text(said)

  def of(
    self,
    example: Mapping[str, Any],
    entries: Iterable[str],
    rng: np.random.Generator | None = None,
  ) -> dict[str, np.ndarray]:
    """Entry -> int32 [length] of an example.

    Args:
      example: as stored.
      entries: that are wanted.
      rng: draws one of several texts; None: the first is taken.

    Raises:
      BadImage: what is stored is no text.
      UserError: nothing is stored under a name.
    """
    wanted = [*entries]
    told = [name for name in wanted if name != MARKS]
    if MARKS in wanted and "tokens" not in told:
      told.append("tokens")
    said = {name: self._said(example, self.names[name], rng) for name in told}
    made = {name: self.tokens(text) for name, text in said.items()}
    if MARKS in wanted:
      made[MARKS] = self.marks(made["tokens"], example)
    return {name: made[name] for name in wanted}

  def marks(self, tokens: np.ndarray, example: Mapping[str, Any]) -> np.ndarray:
    """int32 [l]: 1 at tokens that are words of the example's class.

    Raises:
      UserError: there are words of each label, but none of the example's.
    """
    row = 0 if len(self.words) == 1 else int(example.get("label", -1))
    if not 0 <= row < len(self.words):
      raise errors.UserError(
        f"data.text_words of {len(self.words)} labels, and an example with "
        f"label {example.get('label')}",
        "words of each label, in their order, or one text for all",
        "correct it",
        "data.text_words",
      )
    return np.isin(tokens, self.words[row]).astype(np.int32)

  def _said(self, example, name, rng) -> str:
    """The text of a name."""
    if not name:
      return self.prompt
    if name not in example:
      raise errors.UserError(
        f"examples with {', '.join(example)}",
        f"a text {name!r}, of which tokens are made",
        "name a text that the data set stores, or set data.text='' and "
        "data.prompt",
        "data.text",
      )
    value = example[name]
    if not isinstance(value, str | bytes):
      several = list(value) if np.ndim(value) == 1 else []
      if not several:
        raise decode.BadImage(f"{name} is no text")
      value = several[0 if rng is None else int(rng.integers(len(several)))]
    if isinstance(value, bytes):
      value = value.decode(errors="replace")
    if not isinstance(value, str):
      raise decode.BadImage(f"{name} is no text")
    return value


def of(data: settings.Data) -> Texts | None:
  """What the settings ask for; None: no tokens are made.

  Raises:
    UserError: there is no such tokenizer, it lacks a special token, or
      `data.prompt` is too long.
  """
  if not data.tokenizer:
    return None
  tokenizer = tokenizers.open(data.tokenizer)
  special = {n: getattr(data, f"text_{n}") for n in ("start", "end", "pad")}
  for name, token in special.items():
    if token >= tokenizer.size:
      raise errors.UserError(
        f"data.text_{name}={token}",
        f"a token of {data.tokenizer}, below {tokenizer.size}",
        f"correct data.text_{name}",
        f"data.text_{name}",
      )
  made = Texts(
    tokenizer=tokenizer,
    names={"tokens": data.text} | dict(data.texts),
    prompt=data.prompt,
    length=data.text_length,
    words=_marked(data.tokenizer, tuple(data.text_words)),
    **special,
  )
  if data.prompt:
    _check_whole(made)
  return made


def _check_whole(made: Texts) -> None:
  """Raises UserError unless the text of all examples is told to its end."""
  around = (made.start >= 0) + (made.end >= 0)
  needed = around + len(made.tokenizer.numbers(made.prompt))
  if needed > made.length:
    raise errors.UserError(
      f"data.text_length={made.length}, and data.prompt has {needed} tokens, "
      f"{around} around it included",
      "room for all of the text that every example is told",
      f"set data.text_length={needed}, or shorten data.prompt",
      "data.text_length",
    )


@functools.cache
def _marked(name: str, words: tuple[str, ...]) -> list[list[int]]:
  """Tokens of each text of words; once for all examples."""
  tokenizer = tokenizers.open(name)
  found = [tokenizer.numbers(text) for text in words]
  for text, numbers in zip(words, found, strict=True):
    if not numbers or tokenizer.words and tokenizers.UNKNOWN in numbers:
      raise errors.UserError(
        f"data.text_words has {text!r}",
        f"words that {name} knows",
        "correct it",
        "data.text_words",
      )
  return found


def facts(data: settings.Data) -> dict[str, Any]:
  """What a run keeps: which tokenizer (of a file the hash), and its words."""
  if not data.tokenizer:
    return {}
  words = list(tokenizers.open(data.tokenizer).words)
  return {"alphabet": words, "tokenizer": _called(data.tokenizer)}


def _called(name: str) -> str:
  """A file is named by its hash, wherever it lies."""
  digest = tokenizers.open(name).digest
  return f"file of sha256 {digest}" if digest else name


def protocol(data: Mapping[str, Any]) -> dict[str, Any]:
  """Keys of the section `data` about tokens, where any are made."""
  if not data.get("tokenizer"):
    return {}
  told = {f"data.{key}": data[key] for key in KEYS}
  return told | {"data.tokenizer": _called(data["tokenizer"])}


def check(data: settings.Data) -> None:
  """Raises UserError for settings that no tokenizer could follow.

  Files are not looked at: to plan a run needs none. `of` finds what one says of
  `prompt`.
  """
  name = data.tokenizer
  if data.text_words and not (name and _are_texts(data.text_words)):
    raise errors.UserError(
      f"data.text_words={data.text_words!r} with data.tokenizer={name!r}",
      "texts of words, and a tokenizer",
      "set data.tokenizer, or data.text_words=()",
      "data.text_words",
    )
  if not name:
    return
  tokenizers.check(name)
  if data.text and data.prompt:
    raise errors.UserError(
      f"data.prompt={data.prompt!r} with data.text={data.text!r}",
      "one of them: what every example stores, or the text of all",
      "set data.text=''",
      "data.prompt",
    )
  names = [entry[0] for entry in data.texts if _is_pair(entry)]
  new = len({"tokens", *names}) == 1 + len(data.texts)
  if not new or {*names} & {*entries.ENTRIES}:
    raise errors.UserError(
      f"data.texts={data.texts!r}",
      "pairs (entry, stored text) with names of their own: "
      "(('target_tokens', 'target'),)",
      "correct it",
      "data.texts",
    )
  around = (data.text_start >= 0) + (data.text_end >= 0)
  if data.text_length <= around:
    raise errors.UserError(
      f"data.text_length={data.text_length}",
      f"more than {around}, the tokens around a text",
      "raise it",
      "data.text_length",
    )
  if data.prompt and not name.startswith("file:"):
    of(data)


def _are_texts(words: Any) -> bool:
  listed = isinstance(words, tuple | list)
  return listed and all(isinstance(w, str) and w.strip() for w in words)


def _is_pair(entry: Any) -> bool:
  pair = isinstance(entry, tuple | list) and len(entry) == 2
  return pair and all(isinstance(word, str) and word for word in entry)
