"""An export on the hub, by the hub's own client (`pip install 'jmim[hub]'`).

The client finds its own token (`hf auth login`, or HF_TOKEN); nothing of it is
read, shown or kept here.
"""

import importlib
import importlib.util
import pathlib
import re
from typing import Any

from jmim.core import errors

CLIENT = "huggingface_hub"


def check(name: str) -> Any:
  """The client, before anything is written.

  Args:
    name: "user/name".

  Raises:
    UserError: no such name, or the client is not installed.
  """
  if not re.fullmatch(r"[\w.\-]+/[\w.\-]+", name):
    raise errors.UserError(f"--push={name}", "user/name", "name both", "--push")
  if importlib.util.find_spec(CLIENT) is None:
    raise errors.UserError(
      f"--push without {CLIENT}",
      "the hub's client",
      "pip install 'jmim[hub]', then `hf auth login`",
      "--push",
    )
  return importlib.import_module(CLIENT)


def push(folder: pathlib.Path, name: str, private: bool = False) -> str:
  """Uploads a folder as one commit of a model repository; returns its address.

  The repository is made if it is not there.

  Args:
    folder: of an export.
    name: "user/name".
    private: of a repository that is made.

  Raises:
    UserError: as `check`.
  """
  api = check(name).HfApi(library_name="jmim")
  api.create_repo(name, private=private, exist_ok=True)
  done = api.upload_folder(
    repo_id=name,
    folder_path=str(folder),
    commit_message=f"{folder.name}, exported by jmim",
  )
  return str(done)
