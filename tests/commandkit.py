"""Commands that pages and docstrings tell people to type, word by word."""

import ast
import pathlib
import re
import shlex
from collections.abc import Iterable
from collections.abc import Iterator

START = ["python", "-m", "jmim.main"]


def of_page(page: pathlib.Path) -> list[list[str]]:
  """Those of a page's sh blocks; comments removed, the command `jmim` in full.

  `A && B` are two.
  """
  blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.M)
  return [words for line in _lines("".join(blocks)) for words in _read(line)]


def of_module(path: pathlib.Path) -> list[list[str]]:
  """Those of the docstring of a file, as `of_docstring` reads them."""
  return of_docstring(ast.get_docstring(ast.parse(path.read_text())) or "")


def of_docstring(doc: str) -> list[list[str]]:
  """Those of its lines that are indented by four.

      C=PATH; D=--config.data.data_dir=DIR      what $C and $D stand for, below
      ... --config=$C:stage=2 --workdir=B       the command above, changed
      ... :stage=2                              its recipe with other arguments
      python -m jmim.main --mode=sample ... --num=4     what is said above
      python -m jmim.main --config=$C ...       and whatever is not said

  A line that begins with "..." goes on from a command with a --config=, if it
  says another; else it is one of jmim.main.
  """
  values: dict[str, str] = {}
  found: list[list[str]] = []
  lines = _lines("\n".join(re.findall(r"^ {4}(.*)$", doc, re.MULTILINE)))
  for line in map(str.strip, lines):
    filled = _assigned(line, values)
    if re.match(r"(python -m jmim\.|jmim |\.\.\. (--|:))", filled):
      for words in _read(filled):
        found.append(_completed(words, found[-1] if found else START))
  return found


def flag(words: Iterable[str], name: str) -> str:
  """The value of --name=value, the last one; "": it is not there."""
  found = [w for w in words if w.startswith(f"--{name}=")]
  return found[-1].partition("=")[2] if found else ""


def _lines(text: str) -> list[str]:
  """With those that a backslash continues in one."""
  return re.sub(r"\\\n\s*", " ", text).splitlines()


def _read(line: str) -> Iterator[list[str]]:
  """The commands of a line, `jmim` in full."""
  words = shlex.split(line, comments=True)
  while words:
    end = words.index("&&") if "&&" in words else len(words)
    first, words = words[:end], words[end + 1 :]
    yield [*START, *first[1:]] if first[0] == "jmim" else first


def _assigned(line: str, values: dict[str, str]) -> str:
  """What is behind the NAME=VALUE of a line, $NAME filled in.

  Args:
    line: as it stands.
    values: of names so far; those of the line are put there.
  """
  fill = lambda text: re.sub(
    r"\$([A-Z]+)\b", lambda m: values.get(m[1], m[0]), text
  )
  while named := re.match(r'([A-Z]+)=("[^"]*"|[^\s;]+)(?:; *| +|$)', line):
    values[named[1]] = fill(named[2].strip('"'))
    line = line[named.end() :]
  return fill(line)


def _completed(words: list[str], above: list[str]) -> list[str]:
  """A command without its "...", from the one above where that is said."""
  if "..." not in words:
    return words
  at = words.index("...")
  rest = [word for word in words[at + 1 :] if word != "..."]
  if rest and rest[0].startswith(":"):
    recipe = flag(above, "config").partition(":")[0]
    rest = [f"--config={recipe}{rest[0]}", *rest[1:]]
  if at == 0:
    goes_on = not flag(rest, "config") or flag(above, "config")
    words = above[:3] if goes_on else START
  elif not rest:
    return words[:at]
  return [*words[: at or 3], *_kept(words, rest, above), *rest]


def _kept(words: list[str], rest: list[str], above: list[str]) -> list[str]:
  """The flags of the command above that one of the same module leaves out."""
  said = {word.partition("=")[0] for word in (*words, *rest)}
  named = [word for word in above[3:] if word.startswith("--")]
  same = above[:3] == words[:3]
  return [w for w in named if same and w.partition("=")[0] not in said]
