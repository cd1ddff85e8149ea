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
  import torch  # noqa: PLC0415  optional, and slow to load

  try:
    check(args.source, args.any)
    state = torch.load(args.source, map_location="cpu", weights_only=True)
    arrays = pick({n: x.numpy() for n, x in state.items()})
  except errors.UserError as e:
    print(f"error:\n{e.screen()}", file=sys.stderr)
    return 2
  np.savez(args.out, **arrays)
  found = hashlib.sha256(args.out.read_bytes()).hexdigest()
  print(f"{args.out}: sha256 {found}")
  return 0


def check(path: pathlib.Path, accept: bool) -> None:
  """Raises UserError unless the file is the published one."""
  if not path.is_file():
    raise errors.UserError(
      f"no file {path}", "the published weights", "download them", "source"
    )
  found = hashlib.sha256(path.read_bytes()).hexdigest()
  if not accept and not found.startswith(PUBLISHED):
    raise errors.UserError(
      f"{path} has sha256 {found}",
      f"{PUBLISHED}..., the published file",
      "fetch it again, or --any if you mean this one",
      "source",
    )


def pick(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """The arrays of the graph, float32; batch counters are left out.

  Raises:
    UserError: one is missing or has another shape.
  """
  wanted = inception.shapes()
  wrong = [
    n for n, s in wanted.items() if n not in state or state[n].shape != s
  ]
  if wrong:
    raise errors.UserError(
      f"lacks {', '.join(wrong[:6])}",
      f"{len(wanted)} arrays of the FID graph",
      "use the weights of the FID graph, not torchvision's",
      "source",
    )
  return {n: np.asarray(state[n], np.float32) for n in wanted}


if __name__ == "__main__":
  sys.exit(main())
