"""Names of the classes that a run was trained on, in the order of its logits.

A run keeps them in data.json, an export in its note.
"""

import pathlib
from typing import Any

from jmim.core import files

NAME = "data.json"


def of_run(workdir: pathlib.Path) -> tuple[str, ...]:
  """Those of a run; () where its data had none, or it is an older run."""
  path = pathlib.Path(workdir) / NAME
  return of(files.read_object(path, "path")) if path.is_file() else ()


def of(facts: dict[str, Any]) -> tuple[str, ...]:
  """Those that a file says under "classes"; () if it says no list of texts.

  Args:
    facts: content of data.json, or of the note of an export.
  """
  names = facts.get("classes")
  texts = isinstance(names, list) and all(isinstance(x, str) for x in names)
  return tuple(names) if texts else ()
