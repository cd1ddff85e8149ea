"""Principal directions in the bottleneck of a small DDPM on scenes.

    python -m jmim.main --config=configs/ddpm_scenes.py --workdir=BASE
    python -m jmim.main --mode=apply --config=configs/h_space_scenes.py \
      --workdir=runs/h --config.procedure.source.path=BASE
    python -m jmim.tools.draw_edits --workdir=runs/h --out=pcs.png

Arguments: directions=pca (steps: of each step by itself; random: as long as
those of pca, a control), source= (a run), num=32.

Size: trains nothing.
Time: 4 minutes on one core beside other jobs.
Expect: components change colour, area and place 9.8 times as much as random
directions of their length (the claim).
"""

from jmim.core import choices
from jmim.core import config as configs

DIRECTIONS = ("pca", "steps", "random")


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, directions="pca", source="", num=32)
  choices.check(arg, directions=DIRECTIONS)
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(batch=32, size=32, mean=half, std=half)
  config.procedure = configs.section(
    type="edit.h_space",
    source=configs.section(path=arg.source, recipe="configs/ddpm_scenes.py"),
    walk=configs.section(steps=20, eta=1.0),
    by_step=arg.directions == "steps",
    random=arg.directions == "random",
  )
  config.apply.update(num=arg.num, fit_num=200)
  return config
