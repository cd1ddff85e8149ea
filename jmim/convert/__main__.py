"""Command line: weights of others to a workdir.

    python -m jmim.convert --from=hf_dinov2 --weights=DIR --out=runs/dinov2
    python -m jmim.convert --from=mae --weights=mae_pretrain_vit_base.pth \
      --config=configs/mae_imagenet.py --out=runs/mae_b
    python -m jmim.convert --from=sd --weights=FILE --out=runs/sd

--config is a recipe (with its arguments, and --config.key=value); it is not
needed where a config.json lies beside the weights. --from=auto, the default,
detects the family by that file. --from=sd makes three runs of a whole Stable
Diffusion (`jmim.convert.bundle`). --resize takes positions of another grid.
--ignore=REGEX,REGEX leaves arrays of theirs out. --list names the families.
"""

import sys
from collections.abc import Sequence

from jmim.convert import bundle
from jmim.convert import families
from jmim.convert import importing
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import home
from jmim.core import validate

FLAGS = ("from", "weights", "out", "config", "resize", "ignore", "list", "help")


def main(argv: Sequence[str]) -> None:
  """Runs the command.

  Raises:
    UserError: a mistake in the flags, or weights that do not fit.
  """
  flags, overrides = parse(argv)
  if "help" in flags:
    print(__doc__)
    return
  if "list" in flags:
    print("\n".join(map(_row, families.names())))
    return
  for name in ("weights", "out"):
    if not flags.get(name):
      raise errors.UserError(
        f"no --{name}",
        "--from=FAMILY --weights=FILE --out=WORKDIR",
        "add it",
        f"--{name}",
      )
  config = None
  if overrides and not flags.get("config"):
    raise errors.UserError(
      f"--config.{overrides[0]} without --config",
      "a recipe that it changes",
      "add --config=configs/<recipe>.py",
      "--config",
    )
  if flags.get("config"):
    config = configs.override(configs.load(flags["config"]), overrides)
    validate.validate(config)
  ignore = [p for p in flags.get("ignore", "").split(",") if p]
  out = home.expand(flags["out"], "--out")
  name, weights = flags.get("from", "auto"), flags["weights"]
  if name == bundle.NAME:
    lines = bundle.run(weights, config, out, ignore)
  else:
    lines = importing.run(
      name,
      weights,
      config=config,
      out=out,
      resize="resize" in flags,
      ignore=ignore,
    )
  print("\n".join([*lines, f"done: {out}"]))


def _row(name: str) -> str:
  """Name, library and methods of a family."""
  family = families.find(name)
  return f"{name:26}{family.library:12}{', '.join(family.methods)}"


def parse(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
  """({flag: value}, config overrides).

  Raises:
    UserError: an unknown flag.
  """
  flags, overrides = {}, []
  for word in argv:
    name, _, value = word.removeprefix("--").partition("=")
    if word.startswith("--config."):
      overrides.append(word.removeprefix("--config."))
    elif word.startswith("--") and name in FLAGS:
      flags[name] = value
    else:
      flag = word.partition("=")[0]
      raise validate.unknown(flag, [f"--{f}" for f in FLAGS], flag, "flags")
  return flags, overrides


if __name__ == "__main__":
  try:
    main(sys.argv[1:])
  except errors.UserError as e:
    print(f"error:\n{e.screen()}", file=sys.stderr)
    sys.exit(2)
