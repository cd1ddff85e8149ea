"""Texts as whole numbers: words of a list, bytes, or what a file says.

    words:NAME  words between blanks, of the closed list `WORDS` of the builder
                jmim/data/builders/NAME
    bytes       of UTF-8
    file:PATH   a tokenizer.json, as the Hugging Face hub has them (CLIP, T5);
                pip install 'jmim[text]'

In the first two kinds 0 fills up, 1 starts, 2 ends and 3 is an unknown word;
words and bytes begin at 4. A file has numbers of its own: of CLIP 49406 starts,
49407 ends, 49407 or 0 fills up. What is made depends on the text alone: not on
hosts, workers or threads.
"""

import functools
import hashlib
import importlib
import pathlib
from collections.abc import Sequence
from typing import Protocol

from jmim.core import errors
from jmim.core import home
from jmim.data import builders

SPECIAL = ("", "<start>", "<end>", "<unknown>")  # numbers 0 to 3
UNKNOWN = SPECIAL.index("<unknown>")
KINDS = "'words:NAME', 'bytes' or 'file:PATH'"
_KEY = "data.tokenizer"


class Tokenizer(Protocol):
  """Text to numbers and back.

  Attributes:
    size: numbers are below it.
    words: those of a closed list, each at its number; (): there is none.
    digest: sha256 of a file; "": there is none.
  """

  size: int
  words: tuple[str, ...]
  digest: str

  def numbers(self, text: str) -> list[int]:
    """Of a text, without start, end and padding."""

  def text(self, numbers: Sequence[int]) -> str:
    """The inverse, up to what a tokenizer makes equal (blanks, case)."""


class Words:
  """A closed list; anything else is UNKNOWN."""

  digest = ""

  def __init__(self, words: Sequence[str]):
    """Takes words in the order of their numbers; empty ones are left out."""
    self.words = (*SPECIAL, *(word for word in words if word))
    self.size = len(self.words)
    self._number = {word: i for i, word in enumerate(self.words)}

  def numbers(self, text: str) -> list[int]:
    """See `Tokenizer`."""
    return [self._number.get(word, UNKNOWN) for word in text.split()]

  def text(self, numbers: Sequence[int]) -> str:
    """See `Tokenizer`."""
    said = (self.words[i] for i in numbers if i >= UNKNOWN)
    return " ".join(said)


class Bytes:
  """UTF-8."""

  size = len(SPECIAL) + 256
  words = ()
  digest = ""

  def numbers(self, text: str) -> list[int]:
    """See `Tokenizer`."""
    return [len(SPECIAL) + byte for byte in text.encode()]

  def text(self, numbers: Sequence[int]) -> str:
    """See `Tokenizer`; what is no UTF-8 is shown as such."""
    said = bytes(i - len(SPECIAL) for i in numbers if i >= len(SPECIAL))
    return said.decode(errors="replace")


class File:
  """A tokenizer.json; what it adds of itself, cuts off or fills up is not."""

  words = ()

  def __init__(self, path: pathlib.Path):
    """Reads it.

    Raises:
      UserError: no such file, none of that kind, or the package is missing.
    """
    expected = "a tokenizer.json of the Hugging Face hub"
    if not path.is_file():
      raise _wrong(f"no file {path}", expected, "correct the path")
    try:
      library = importlib.import_module("tokenizers")
    except ImportError as error:
      raise _wrong(
        f"a file of tokens without the package tokenizers ({error})",
        "that package",
        "pip install 'jmim[text]', or choose words:NAME or bytes",
      ) from error
    content = path.read_bytes()
    self.digest = hashlib.sha256(content).hexdigest()
    try:
      self._read = library.Tokenizer.from_str(content.decode())
    except Exception as error:  # the package raises nothing narrower
      seen = f"{path}: {errors.first_line(error)}"
      raise _wrong(seen, expected, "fetch it again") from error
    self._read.no_truncation()
    self._read.no_padding()
    self.size = 1 + max(self._read.get_vocab().values())

  def numbers(self, text: str) -> list[int]:
    """See `Tokenizer`."""
    return self._read.encode(text, add_special_tokens=False).ids

  def text(self, numbers: Sequence[int]) -> str:
    """See `Tokenizer`."""
    return self._read.decode([int(i) for i in numbers])


def check(name: str) -> None:
  """Raises UserError unless a name is of a known kind; opens nothing."""
  kind, _, what = name.partition(":")
  if name != "bytes" and not (kind in ("words", "file") and what):
    raise _wrong(f"{_KEY}={name!r}", KINDS, "write it so")


@functools.cache
def open(name: str) -> Tokenizer:
  """The tokenizer of a name, see the module; read once in a process.

  Raises:
    UserError: there is none.
  """
  check(name)
  if name == "bytes":
    return Bytes()
  kind, _, what = name.partition(":")
  if kind == "words":
    return Words(_words(what))
  return File(home.expand(what, _KEY))


def _words(name: str) -> Sequence[str]:
  """The list that a builder declares."""
  package = builders.__name__
  there = pathlib.Path(builders.__path__[0]) / f"{name}.py"
  module = importlib.import_module(f"{package}.{name}") if _is(there) else None
  found = getattr(module, "WORDS", None)
  if found is None:
    raise _wrong(
      f"{_KEY}='words:{name}'",
      "the name of a builder that declares WORDS (scenes)",
      "correct the name",
    )
  return found


def _is(path: pathlib.Path) -> bool:
  return path.stem.isidentifier() and path.is_file()


def _wrong(seen: str, expected: str, fix: str) -> errors.UserError:
  return errors.UserError(seen, expected, fix, _KEY)
