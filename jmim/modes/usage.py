"""The screen of --help: what every run needs, other flags, where docs are."""

import re
import textwrap
import types

from absl import flags

from jmim.core import base_config

# Flags and keys of ordinary commands.
MAIN = ("config", "workdir", "mode")
KEYS = (
  "data.data_dir",
  "data.batch",
  "optim.lr",
  "train.total_steps",
  "init_from.path",
  "hardware.mesh.fsdp",
  "seed",
)
WIDTH = 80
WHERE = """\
Every other key is --config.<key>=<value>. jmim/core/settings documents each;
those of config.method and config.evals are the fields of their classes. A
misspelt key is an error that names the nearest. docs/concepts.md: how a run
works; docs/evals.md: evaluators; docs/data.md: data."""


def text(doc: str, values: flags.FlagValues, module: types.ModuleType) -> str:
  """The screen of --help.

  Args:
    doc: comes first.
    values: flags that are defined.
    module: whose flags are shown.
  """
  known = {f.name: f for f in values.get_flags_for_module(module)}
  lines = [_line(f"--{name}", _help(known[name])) for name in MAIN]
  lines += [
    _line(f"--config.{k}", base_config.KEYS[k].metadata["doc"]) for k in KEYS
  ]
  rest = [_line(f"--{n}", _help(f)) for n, f in known.items() if n not in MAIN]
  single = "\nOf single modes and several processes:"
  return "\n".join([doc, "Flags:", *lines, "", WHERE, single, *rest])


def _help(flag: flags.Flag) -> str:
  """What a flag is for, then its values ("<a|b>: ..." is how absl has it)."""
  choices = getattr(flag.parser, "enum_values", None)
  words = re.sub(r"^<[^>]*>: ", "", flag.help)
  return f"{words}: {', '.join(choices)}" if choices else words


def _line(name: str, words: str) -> str:
  """The flag, and beside it its help, folded."""
  return textwrap.fill(
    words, WIDTH, initial_indent=f"  {name:<28} ", subsequent_indent=31 * " "
  )
