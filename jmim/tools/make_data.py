"""Makes an ArrayRecord data set of archives, image folders or tar shards.

    python -m jmim.tools.make_data cifar10 cifar-10-python.tar.gz
    python -m jmim.tools.make_data cifar100 cifar-100-python.tar.gz
    python -m jmim.tools.make_data mnist FOLDER        (or fashion_mnist)
    python -m jmim.tools.make_data imagenet2012 ILSVRC2012_img_train.tar \
      ILSVRC2012_img_val.tar ILSVRC2012_devkit_t12.tar.gz
    python -m jmim.tools.make_data folder IMAGES --name=mine
    python -m jmim.tools.make_data tar SHARDS --name=mine

Archives are read as their authors publish them, CIFAR's for Python or as
binaries; nothing is downloaded and TensorFlow is not needed. Of a folder, its
sub-folders train, val, validation, valid and test are the splits, if there are
some; of shards the beginnings of their names. Encoded images are copied as they
are. --out is TFDS's data directory, by default where recipes look: afterwards
--config.data.name=NAME is all that is needed.
"""

import argparse
import functools
import pathlib
import re
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from jmim.core import errors
from jmim.core import home
from jmim.core.settings import data as settings
from jmim.data import archives
from jmim.data import encode
from jmim.data import sources
from jmim.data import splits
from jmim.data import write
from jmim.tools import cli

# Kind -> (its files, what opens them).
ARCHIVES: dict[str, tuple[str, Callable[..., archives.Archive]]] = {
  "cifar10": ("the archive", lambda p: archives.cifar(p, 10)),
  "cifar100": ("the archive", lambda p: archives.cifar(p, 100)),
  "mnist": ("a folder with the four files", archives.idx),
  "fashion_mnist": (
    "a folder with the four files",
    lambda p: archives.idx(p, archives.FASHION),
  ),
  "imagenet2012": ("train tar, validation tar, devkit", archives.imagenet),
}
SOURCES = ("folder", "tar", "csv", "array")


def of_source(kind: str, path: pathlib.Path) -> archives.Archive:
  """What jmim reads as `data.name=KIND`, with all of its splits.

  Args:
    kind: one of SOURCES.
    path: as data.data_dir.

  Raises:
    UserError: nothing there that can be read.
  """
  names = splits_in(kind, path)
  opened: dict[str, sources.Source] = {}
  for name in names or ["train"]:
    first = next(iter(opened.values()), None)
    opened[name] = sources.build(
      kind, name, str(path), like=first, trained_on=first is None
    )
  first = next(iter(opened.values()))
  classes = getattr(first, "classes", ())
  numbers = map(str, range(first.num_classes or 0))
  splits = {n: functools.partial(_examples, s) for n, s in opened.items()}
  return archives.Archive(classes=classes or tuple(numbers), splits=splits)


def splits_in(kind: str, path: pathlib.Path) -> list[str]:
  """The usual ones that are there: folders, or beginnings of files' names.

  "validation-0.tar" is of "validation" alone, and a class "valley" of none.
  """
  if not path.is_dir():
    return []
  if kind == "folder":
    return [name for name in splits.USUAL if (path / name).is_dir()]
  begin = (re.match(r"[a-z]+", file.name) for file in path.iterdir())
  found = {match[0] for match in begin if match}
  return [name for name in splits.USUAL if name in found]


def _examples(source: sources.Source) -> Iterator[dict[str, Any]]:
  for i in range(len(source)):
    example = source[i]
    image = example["image"]
    if isinstance(image, np.ndarray):
      grey = image.shape[-1] == 1
      example["image"] = encode.png(image[..., 0] if grey else image)
    yield {k: example[k] for k in ("image", "label") if k in example}


def build(
  name: str, out: pathlib.Path, archive: archives.Archive, description: str
) -> pathlib.Path:
  """Writes the data set; returns its folder.

  Args:
    name: of the data set.
    out: data directory of TFDS.
    archive: what it is made of.
    description: kept with it.

  Raises:
    UserError: it is there already.
  """
  shape = archive.shape or (None, None, 3)
  features: dict[str, Any] = {"image": tfds.features.Image(shape=shape)}
  if archive.classes:
    features["label"] = tfds.features.ClassLabel(names=list(archive.classes))
  return write.dataset(
    name,
    out,
    features=features,
    description=description,
    splits=lambda: {s: make() for s, make in archive.splits.items()},
  )


def open_archive(kind: str, paths: Sequence[str]) -> archives.Archive:
  """What a command line names.

  Raises:
    UserError: no such kind, other files than it has, or nothing there.
  """
  known = dict(ARCHIVES) | {
    kind: ("the folder", functools.partial(of_source, kind)) for kind in SOURCES
  }
  if kind not in known:
    raise errors.UserError(
      f"kind {kind!r}", f"one of {', '.join(known)}", "name one", "KIND"
    )
  words, make = known[kind]
  count = 3 if kind == "imagenet2012" else 1
  if len(paths) != count:
    raise errors.UserError(
      f"{kind} with {len(paths)} paths", words, f"name {count}", "PATH"
    )
  found = [home.expand(p, "PATH") for p in paths]
  for path in found:
    if not path.exists():
      raise errors.UserError(
        f"no file or folder {path}", words, "correct the path", "PATH"
      )
  return make(*found)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the tool; see the module docstring."""
  return cli.run(lambda: _main(sys.argv[1:] if argv is None else argv))


def _main(argv: Sequence[str]) -> None:
  parser = argparse.ArgumentParser(
    prog="python -m jmim.tools.make_data",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("kind", help=", ".join([*ARCHIVES, *SOURCES]))
  parser.add_argument("paths", nargs="+", metavar="PATH")
  parser.add_argument("--name", default="", help="of the data set")
  parser.add_argument("--out", default="", help="data directory of TFDS")
  args = parser.parse_args(argv)
  name = args.name or args.kind
  if args.kind in SOURCES and not args.name:
    raise errors.UserError(
      f"{args.kind} without --name", "a name", "add --name=mine", "--name"
    )
  out = home.expand(args.out, "--out") if args.out else sources.default_dir()
  archive = open_archive(args.kind, args.paths)
  text = f"{args.kind}: " + ", ".join(pathlib.Path(p).name for p in args.paths)
  print(f"made: {build(name, out, archive, text)}")
  print(f"use: {_use(name, args.out, archive.splits)}")


def _use(name: str, out: str, there: Iterable[str]) -> str:
  """The keys of a config that read it."""
  first, *others = there
  keys = {"name": name, "data_dir": out, "train_split": first}
  keys |= {"eval_split": others[0]} if others else {"eval_share": 0.1}
  usual = lambda key: getattr(settings.Data, key)
  return " ".join(
    f"--config.data.{k}={v}" for k, v in keys.items() if usual(k) != v
  )


if __name__ == "__main__":
  sys.exit(main())
