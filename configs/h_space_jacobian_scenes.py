"""Singular directions of each scene that a small DDPM makes, half way.

    python -m jmim.main --config=configs/ddpm_scenes.py --workdir=BASE
    python -m jmim.main --mode=apply --workdir=runs/jacobian \
      --config=configs/h_space_jacobian_scenes.py \
      --config.procedure.source.path=BASE
    ... --config.procedure.mask='(0.0, 0.0, 0.5, 1.0)'   of the upper half

Arguments: source= (a run), num=32.

Not yet measured here.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, source="", num=32)
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(batch=32, size=32, mean=half, std=half)
  config.procedure = configs.section(
    type="edit.h_space_jacobian",
    source=configs.section(path=arg.source, recipe="configs/ddpm_scenes.py"),
    walk=configs.section(steps=20),
    at=10,
    alphas=(-20.0, 20.0),
  )
  config.apply.num = arg.num
  return config
