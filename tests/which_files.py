"""Which files hold a method: what a reader opens beside the paper.

    python tests/which_files.py

prints the table, methods of most files first. What a method inherits from
`core.method.Method`, the contract itself, is not counted.
"""

import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]

from jmim.core import discovery  # noqa: E402
from jmim.core import method  # noqa: E402

MEMBERS = ("loss", "draw", "init", "inputs", "predict")


def files(cls: type) -> list[str]:
  """Modules of the classes whose MEMBERS a class has, its own first.

  A member that calls the one it overrides (`super().draw(...)`) has a part of
  its text there, too.
  """
  found = []
  for name in MEMBERS:
    for base in cls.__mro__:
      if base is method.Method:
        break
      if name in vars(base):
        found.append(base.__module__)
        if not calls_super(vars(base)[name]):
          break
  return sorted(dict.fromkeys(found), key=lambda m: m != cls.__module__)


def calls_super(member) -> bool:
  """Whether a function uses `super()`."""
  return "super" in member.__code__.co_names


def table() -> dict[str, list[str]]:
  """Method -> its files, as `files` gives them."""
  return {name: files(discovery.find(name)) for name in discovery.names()}


def main() -> None:
  """Prints the table."""
  rows = sorted(table().items(), key=lambda row: (-len(row[1]), row[0]))
  for name, modules in rows:
    short = [m.removeprefix("jmim.methods.") for m in modules]
    print(f"{len(modules)}  {name:28s} {' '.join(short)}")


if __name__ == "__main__":
  main()
