"""docs/keys.md: every key of a config, from the classes that document them.

python -m jmim.tools.key_table           prints it
python -m jmim.tools.key_table --write   writes it
"""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from jmim.core import base_config
from jmim.core import discovery
from jmim.core import field
from jmim.evals.lib import base as eval_base

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "keys.md"
TOP = """\
# All keys

Each is a flag, `--config.KEY=VALUE`, and a field in a recipe, `config.KEY`.
Defaults are those of jmim; what a recipe sets to something else
`jmim --help --config=NAME` shows. Made by
`python -m jmim.tools.key_table --write`.
"""
HEAD = "| key | default | what it is |\n|---|---|---|"
_LIMITS = {"low": "≥", "high": "≤", "above": ">", "below": "<"}


def page() -> str:
  """docs/keys.md, as it should be today."""
  return "\n\n".join([TOP.rstrip(), *_blocks()]) + "\n"


def _blocks() -> Iterator[str]:
  """Headings with their tables."""
  yield _block("Every run", base_config.KEYS)
  more = base_config.APPLIED.keys() - base_config.KEYS.keys()
  only = {k: f for k, f in base_config.APPLIED.items() if k in more}
  yield _block("Procedures (`--mode=apply`)", only)
  for title, names, section in (
    ("evaluator", eval_base.names(), "evals"),
    ("method", discovery.names(), "method"),
    ("procedure", discovery.procedures(), "procedure"),
  ):
    prefix = "evals.NAME." if section == "evals" else f"{section}."
    for name in names:
      keys = field.documented(discovery.FIND[section](name))
      if keys:
        named = {prefix + key: known for key, known in keys.items()}
        yield _block(f"The {title} `{name}`", named)


def _block(title: str, keys: Mapping[str, dataclasses.Field]) -> str:
  rows = [_row(key, known) for key, known in keys.items()]
  return "\n".join([f"## {title}", "", HEAD, *rows])


def _row(key: str, known: dataclasses.Field) -> str:
  """One key, with its limits, as a row of Markdown."""
  text = known.metadata["doc"]
  if choices := known.metadata.get("choices"):
    text += f"; one of {', '.join(map(repr, choices))}"
  limits = [
    f"{sign} {known.metadata[name]}"
    for name, sign in _LIMITS.items()
    if known.metadata.get(name) is not None
  ]
  text += f" ({', '.join(limits)})" if limits else ""
  cells = (f"`{key}`", f"`{known.default!r}`", text)
  return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--write", action="store_true", help="write the page")
  if parser.parse_args(argv).write:
    PAGE.write_text(page(), encoding="utf-8")
  else:
    print(page(), end="")
  return 0


if __name__ == "__main__":
  sys.exit(main())
