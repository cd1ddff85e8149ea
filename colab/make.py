"""Makes the notebooks from the scripts beside this file, and runs them.

    python colab/make.py [NN ...]        all, or those whose names begin so

A script (`NN_name.py`, cells begin with `# %%`) is the source, its notebook
with outputs is what it makes: change the script. `_install.py` becomes the
first code cell of each; a cell `# %% include PATH` writes the file PATH, taken
from docs/add_a_method.md. Needs `pip install 'jmim[colab]'`.
"""

import base64
import io
import pathlib
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import jupytext
import nbformat
import PIL.Image

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
INCLUDE = re.compile(r"^# %% include (\S+)\n", re.MULTILINE)
TIMEOUT = 1800  # seconds, of one cell


def scripts() -> list[pathlib.Path]:
  """The sources, in order."""
  return sorted(HERE.glob("[0-9]*.py"))


def documented(name: str) -> str:
  """A file of docs/add_a_method.md."""
  page = (ROOT / "docs" / "add_a_method.md").read_text()
  start = f"```python\n# file: {name}\n"
  return page.partition(start)[2].partition("```")[0].rstrip("\n")


def build(path: pathlib.Path) -> Any:
  """The notebook of a script, without outputs."""
  text = INCLUDE.sub(lambda m: f"# %%\n# INCLUDE {m[1]}\n", path.read_text())
  book = jupytext.reads(text, fmt="py:percent")
  for cell in book.cells:
    if cell.source.startswith("# INCLUDE "):
      name = cell.source.split()[2]
      cell.source = f"%%writefile {name}\n{documented(name)}"
  install = nbformat.v4.new_code_cell(
    (HERE / "_install.py").read_text().strip()
  )
  book.cells.insert(1, install)
  for i, cell in enumerate(book.cells):
    cell["id"] = f"cell-{i}"
    cell.metadata = nbformat.from_dict({})
  book.metadata = nbformat.from_dict(
    {
      "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
      },
      "language_info": {"name": "python"},
    }
  )
  return book


def run(book: Any, folder: pathlib.Path = HERE) -> Any:
  """Executes a notebook in a folder; raises what its first error is."""
  import nbclient  # only here, so that building needs no Jupyter

  client = nbclient.NotebookClient(
    book,
    timeout=TIMEOUT,
    startup_timeout=TIMEOUT,
    kernel_name="python3",
    coalesce_streams=True,
    resources={"metadata": {"path": str(folder)}},
  )
  client.execute()
  for cell in book.cells:
    cell.metadata = nbformat.from_dict({})
    for output in cell.get("outputs", ()):
      _tidy(output)
  return book


def _tidy(output: Any) -> None:
  """Makes an output small, and free of what belongs to this machine."""
  if "text" in output:
    output["text"] = _portable(output["text"])
  data = output.get("data", {})
  for kind, value in data.items():
    if kind == "image/png":
      data[kind] = _small(value)
    elif isinstance(value, str):
      data[kind] = _portable(value)


def _portable(text: str) -> str:
  """Output without the places of this machine."""
  for place, name in (
    (f"{ROOT}/", ""),
    (str(ROOT), "."),
    (sys.prefix, "<python>"),
  ):
    text = text.replace(place, name)
  return text.replace("\r\n", "\n")


def _small(encoded: str) -> str:
  """A PNG (base64) in at most 128 colours."""
  image = PIL.Image.open(io.BytesIO(base64.b64decode(encoded)))
  to = io.BytesIO()
  image.convert("RGB").quantize(128).save(to, "PNG", optimize=True)
  return base64.b64encode(to.getvalue()).decode()


def main(argv: Sequence[str] | None = None) -> None:
  """Makes the notebooks named by `argv`, or all."""
  wanted = tuple(sys.argv[1:] if argv is None else argv) or ("",)
  for path in scripts():
    if not path.name.startswith(wanted):
      continue
    for left in (ROOT / "runs").glob(f"notebook_{path.name[:2]}*"):
      shutil.rmtree(left)
    book = run(build(path))
    nbformat.validate(book)
    nbformat.write(book, path.with_suffix(".ipynb"))
    print(path.with_suffix(".ipynb").name, flush=True)


if __name__ == "__main__":
  main()
