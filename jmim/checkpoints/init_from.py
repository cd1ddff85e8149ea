"""Starts a run from the parameters of another one (`config.init_from`).

Stages (pre-train then fine-tune, tokenizer then prior) are separate runs. The
rules say how their names meet; whatever no rule covers must agree in name and
shape, or the run does not start, and every difference is listed:

    rename  ((regex, replacement), ...) applied in order to the saved names
    copies  ((regex, replacement), ...): a saved array is also ours under the
            new name; where that reads more input channels it is repeated, and
            divided by how often (a second stem; under the name that it has it
            is widened alone); where that is a shorter stack of layers, it is
            the first of them (a control branch)
    skip    saved names (after renaming) that are left out: the decoder
    reinit  our names that stay freshly initialised: the new head
    resize  our position tables, resized bicubically from another grid

Names are those of the start-up tables, with the player: "main/encoder/...".
Only parameters are taken: optimizer and step start afresh, an EMA starts as a
copy of the parameters.
"""

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jmim.checkpoints import compare
from jmim.checkpoints import npz
from jmim.checkpoints import positions
from jmim.checkpoints import weights
from jmim.core import errors
from jmim.core import home
from jmim.core import patterns
from jmim.core import tree as trees
from jmim.core.settings import run as settings
from jmim.nn import conv

Arrays = dict[str, np.ndarray]
TOLD = 4  # places that are named


def load(rules: settings.InitFrom, params: Any) -> Arrays:
  """Our leaf names -> loaded values, without those that stay fresh.

  Args:
    rules: the section `init_from`; without a path nothing is loaded.
    params: arrays or shapes of all players.

  Raises:
    UserError: nothing there, a bad rule, or names or shapes that no rule
      covers; all of them are listed.
  """
  return match(_read(rules), params, rules) if rules.path else {}


def match(
  saved: Mapping[str, Any], params: Any, rules: settings.InitFrom
) -> Arrays:
  """Applies the rules to saved arrays; see `load`."""
  _check_regexes(rules)
  hit = lambda regexes, name: any(trees.matches(r, name) for r in regexes)
  renamed: Arrays = {}
  for name, value in saved.items():
    for pattern, replacement in rules.rename:
      name = re.sub(pattern, replacement, name)
    if hit(rules.skip, name):
      continue
    if name in renamed:
      raise _error(rules, [f"two arrays are renamed to {name}"])
    renamed[name] = value
  ours = {
    n: x for n, x in trees.named(params).items() if not hit(rules.reinit, n)
  }
  renamed |= _copied(renamed, ours, rules)
  for name in ours.keys() & renamed.keys():
    if hit(rules.resize, name):
      try:
        renamed[name] = positions.resize(renamed[name], ours[name].shape)
      except ValueError as e:
        raise _error(rules, [f"{name}: {e}"]) from e
  lines = compare.differences(renamed, ours)
  if lines:
    raise _error(rules, lines)
  return renamed


def told(
  rules: settings.InitFrom, params: Any, loaded: Mapping[str, Any]
) -> str:
  """A line about what is taken and what stays fresh; "" if nothing is loaded.

  Args:
    rules: as of `load`.
    params: arrays or shapes of all players.
    loaded: as from `load`.
  """
  if not loaded:
    return ""
  names = list(trees.named(params))
  taken = _places([n for n in names if n in loaded], names)
  fresh = _places([n for n in names if n not in loaded], names)
  return f"begins with {rules.path}: {taken}" + (fresh and f"; fresh: {fresh}")


def _places(chosen: Sequence[str], names: Sequence[str]) -> str:
  """Leaves in few words: whole folders, and of many places the first."""
  places = [
    f"{place} ({count} arrays)" if count > 1 else place
    for place, count in trees.folded(chosen, names).items()
  ]
  more = len(places) - TOLD
  return ", ".join(places[:TOLD]) + (f" and {more} more" if more > 0 else "")


def apply(state: Any, loaded: Arrays) -> Any:
  """A fresh state with loaded parameters, where they were.

  Args:
    state: `core.state.State` on the devices.
    loaded: as from `load`.
  """
  if not loaded:
    return state

  def take(name, leaf):
    if name not in loaded:
      return leaf
    value = np.asarray(loaded[name], leaf.dtype)
    return jax.make_array_from_callback(
      leaf.shape, leaf.sharding, lambda index: value[index]
    )

  params = trees.map_named(take, state.params)
  # A copy: the step gives up the buffers of its argument, each only once.
  ema = jax.tree.map(lambda x: x.copy(), params) if state.ema else state.ema
  return state.replace(params=params, ema=ema)


def _copied(saved, ours, rules):
  """Arrays under further names, as wide as those want them."""
  made: Arrays = {}
  for pattern, replacement in rules.copies:
    for name, value in saved.items():
      other = re.sub(pattern, replacement, name)
      if not re.search(pattern, name):
        continue
      if other != name and (other in saved or other in made):
        raise _error(rules, [f"two arrays are copied to {other}"])
      wanted = ours[other].shape if other in ours else value.shape
      made[other] = value
      if _longer(name, value.shape, wanted):
        made[other] = value[: wanted[0]]
      elif len(wanted) > 1 and wanted[-2] > value.shape[-2]:
        made[other] = np.asarray(conv.widened(value, wanted[-2]))
  return made


def _longer(name, shape, wanted):
  """Whether an array has more layers of a stack than are wanted."""
  stacked = "/layers/" in name and len(shape) == len(wanted) > 0
  return stacked and shape[1:] == wanted[1:] and shape[0] > wanted[0]


def _read(rules: settings.InitFrom) -> Arrays:
  """Player/leaf name -> array of a run's newest checkpoint or an .npz."""
  path = home.expand(rules.path, "init_from.path")
  if path.suffix == ".npz" and path.is_file():
    return npz.read(path, "init_from.path")
  section = weights.SECTIONS[rules.weights]
  try:
    return weights.read_section(path, section)
  except FileNotFoundError as e:
    raise errors.UserError(
      f"init_from.path={rules.path}: no {section} there ({e})",
      "the workdir of a run with a checkpoint, or an .npz of named arrays",
      "correct the path (or init_from.weights)",
      "init_from.path",
    ) from e


def _check_regexes(rules: settings.InitFrom) -> None:
  """Raises UserError for an entry of a rule that cannot be one."""
  for key in ("init_from.rename", "init_from.copies"):
    for rule in getattr(rules, key.removeprefix("init_from.")):
      if not isinstance(rule, tuple | list) or len(rule) != 2:
        raise errors.UserError(
          f"{key} has the entry {rule!r}",
          "pairs (regex, replacement)",
          f"write {key}=((regex, replacement),)",
          key,
        )
      patterns.check(rule[0], key)
  for name in ("skip", "reinit", "resize"):
    for pattern in getattr(rules, name):
      patterns.check(pattern, f"init_from.{name}")


def _error(rules: settings.InitFrom, lines: Sequence[str]) -> errors.UserError:
  return errors.UserError(
    f"{rules.path} does not fit:{errors.listed(lines)}",
    "every name and shape to agree, or to be covered by a rule",
    "add init_from.rename, .skip (saved, not used), .reinit (ours, stays "
    "fresh) or .resize",
    "init_from",
  )
