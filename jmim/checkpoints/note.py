"""What an export says of itself: jmim.json, beside weights in any layout.

    config   of the run
    family   layout of the weights; "": our own names
    step     of the checkpoint
    weights  "raw" or "ema"
    consts   `identity.Digests` of its frozen networks
    classes  names in the order of the logits; []: not known

With it an export can be loaded again; a folder of others has none.
"""

import json
import pathlib
from typing import Any

import ml_collections

from jmim.core import discovery
from jmim.core import errors
from jmim.core import files

NAME = "jmim.json"


def write(
  folder: pathlib.Path, config: ml_collections.ConfigDict, **about: Any
) -> None:
  """Writes the note of an export.

  Args:
    folder: of the export.
    config: of the run.
    **about: family, step, weights, consts, classes.
  """
  content = {"config": json.loads(config.to_json()), **about}
  text = json.dumps(content, indent=2) + "\n"
  (pathlib.Path(folder) / NAME).write_text(text, encoding="utf-8")


def read(folder: pathlib.Path) -> dict[str, Any] | None:
  """The note of an export, its config as a ConfigDict; None: there is none.

  It may be a stranger's. What older exports say nothing of is as theirs was:
  weights "raw", no consts.

  Raises:
    UserError: it is no such note, or its config names a module that is not to
      be imported.
  """
  path = pathlib.Path(folder) / NAME
  if not path.is_file():
    return None
  about = {"weights": "raw", "consts": {}} | files.read_object(path, "path")
  texts = about.get("family"), about["weights"]
  sections = about.get("config"), about["consts"]
  if not (
    all(isinstance(x, str) for x in texts)
    and all(isinstance(x, dict) for x in sections)
  ):
    raise errors.UserError(
      f"{path}: no config of a run, or no family",
      "what --mode=export writes",
      "export the run again",
      "path",
    )
  discovery.check_stored(about["config"], path)
  return about | {"config": ml_collections.ConfigDict(about["config"])}
