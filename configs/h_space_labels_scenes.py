"""From blue to red in the bottleneck of a small DDPM, wherever the thing is.

    python -m jmim.main --config=configs/ddpm_scenes.py --workdir=BASE
    python -m jmim.main --config=configs/attributes_scenes.py --workdir=NET
    python -m jmim.main --mode=apply --workdir=runs/red \
      --config=configs/h_space_labels_scenes.py:source=BASE,scorer=NET
    ... --config=configs/h_space_labels_scenes.py:by=labels,source=BASE

Arguments: by=scores (of samples by NET; labels: of scenes, inverted), source=,
scorer= (runs), num=32.

Not yet measured here.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

COLOURS = 5


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, by="scores", source="", scorer="", num=32)
  choices.check(arg, by=("scores", "labels"))
  images, net = arg.by == "labels", "configs/attributes_scenes.py"
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(name="scenes/one", batch=32, size=32, flip=False)
  config.data.update(mean=half, std=half)
  config.procedure = configs.section(
    type="edit.h_space_labels",
    source=configs.section(path=arg.source, recipe="configs/ddpm_scenes.py"),
    scorer=configs.section(path=arg.scorer, recipe=net),
    walk=configs.section(steps=20, eta=0.0 if images else 1.0, images=images),
    by=arg.by,
    wanted=("label:0-2",),
    unwanted=("place:0-2",),
    classes=COLOURS,
    alphas=(-2.0, -1.0, -0.5, 0.5, 1.0, 2.0),
  )
  config.apply.update(num=arg.num, fit_num=1000)
  return config
