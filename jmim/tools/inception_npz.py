"""The published InceptionV3 of the FID graph (PyTorch) as an .npz.

    python -m jmim.tools.inception_npz pt_inception-2015-12-05-6726825d.pth \
      inception.npz

Needs PyTorch (`pip install 'jmim[bench]'`), once. The hash in the name of the
published file is that of its content, and is checked; the hash of the .npz is
printed, for `inception_sha256`.
"""

import argparse
import hashlib
import pathlib
import sys
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from jmim.core import errors
from jmim.nn.frozen import inception
from jmim.tools import cli

PUBLISHED = "6726825d"  # sha256 of the file begins so


def main(argv: Sequence[str] | None = None) -> int:
  """Returns the exit code: 0 done, 2 a mistake."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawTextHelpFormatter
  )
  parser.add_argument("source", type=pathlib.Path)
  parser.add_argument("out", type=pathlib.Path)
  parser.add_argument("--any", action="store_true", help="accept any hash")
  args = parser.parse_args(argv)
  return cli.run(lambda: convert(args.source, args.out, accept=args.any))


def convert(source: pathlib.Path, out: pathlib.Path, accept: bool) -> None:
  """Writes the .npz and prints its hash; raises as `check` and `pick`."""
  import torch  # noqa: PLC0415  optional, and slow to load

  check(source, accept)
  state = torch.load(source, map_location="cpu", weights_only=True)
  np.savez(out, **pick({n: x.numpy() for n, x in state.items()}))
  print(f"{out}: sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}")


def check(path: pathlib.Path, accept: bool) -> None:
  """Raises UserError unless the file is the published one.

  Args:
    path: of the file.
    accept: any file that is there.
  """
  if not path.is_file():
    raise errors.UserError(
      f"no file {path}", "the published weights", "download them", "source"
    )
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  if not accept and not digest.startswith(PUBLISHED):
    raise errors.UserError(
      f"{path} has sha256 {digest}",
      f"{PUBLISHED}..., the published file",
      "fetch it again, or --any if you mean this one",
      "source",
    )


def pick(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """The arrays of the graph, float32; batch counters are left out.

  Raises:
    UserError: one is missing or has another shape.
  """
  shapes = inception.shapes()
  wrong = [
    n for n, s in shapes.items() if n not in state or state[n].shape != s
  ]
  if wrong:
    raise errors.UserError(
      f"lacks {', '.join(wrong[:6])}",
      f"{len(shapes)} arrays of the FID graph",
      "use the weights of the FID graph, not torchvision's",
      "source",
    )
  return {n: np.asarray(state[n], np.float32) for n in shapes}


if __name__ == "__main__":
  sys.exit(main())
