"""What is printed without a run: --help, --list, --version, --completion."""

from collections.abc import Sequence

from absl import flags as absl_flags

from jmim.core import errors
from jmim.core import version
from jmim.modes import flags
from jmim.modes import usage
from jmim.screens import catalogue
from jmim.screens import completion

DOCTOR = "doctor"


def words(argv: Sequence[str]) -> list[str]:
  """The arguments, `jmim doctor` as the flag that it stands for."""
  if list(argv[1:2]) == [DOCTOR]:
    return [argv[0], f"--mode={DOCTOR}", *argv[2:]]
  return list(argv)


def screen(argv: Sequence[str], doc: str) -> str:
  """The screen that is asked for; "" where none is.

  Args:
    argv: of the command.
    doc: what --help begins with.

  Raises:
    UserError: no such recipe, no such shell, or no recipe with a word.
  """
  given = _given(argv[1:])
  if "help" in given or "h" in given:
    recipe = given.get("config")
    if recipe:
      return catalogue.recipe(recipe)
    return usage.text(doc, absl_flags.FLAGS, flags)
  if "version" in given:
    return version.words()
  if "list" in given:
    return catalogue.listing(given["list"])
  if "completion" in given:
    return _completion(given["completion"])
  return ""


def _completion(shell: str) -> str:
  """The script for a shell."""
  if shell not in completion.SHELLS:
    raise errors.UserError(
      f"--completion={shell}",
      f"one of {', '.join(completion.SHELLS)}",
      "name your shell",
      "--completion",
    )
  return completion.script(shell)


def _given(words: Sequence[str]) -> dict[str, str]:
  """Flag -> text after its equals sign, or the word behind it."""
  found = {}
  for word, following in zip(words, [*words, ""][1:], strict=True):
    name, equals, value = word.partition("=")
    if name.startswith("-"):
      after = "" if following.startswith("-") else following
      found[name.lstrip("-")] = value if equals else after
  return found
