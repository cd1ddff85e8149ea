"""Langevin steps on the noises of a diffusion model, towards a colour.

The model is told nothing; a classifier's gradient says where to go.

    python -m jmim.main --config=configs/ddpm_scenes.py --workdir=BASE
    python -m jmim.main --config=configs/attributes_scenes.py --workdir=TELLS
    python -m jmim.main --mode=apply --workdir=W \
      --config=configs/langevin_scenes.py:base=BASE,attributes=TELLS

Arguments: base=, attributes= (runs of ddpm_scenes and attributes_scenes),
moves=200, num=64; image=True begins with the codes of images instead of random
ones.

Not yet measured here.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, base="", attributes="", moves=200, num=64, image=False
  )
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(name="scenes/one", batch=32, size=32, mean=half, std=half)
  config.procedure = configs.section(
    type="edit.langevin",
    source=dict(path=arg.base, recipe="configs/ddpm_scenes.py"),
    scorer=dict(path=arg.attributes, recipe="configs/attributes_scenes.py"),
    code=dict(steps=10, clip=1.0, eta=0.1 if arg.image else 0.0),
    start="image" if arg.image else "noise",
    moves=arg.moves,
    weight=100.0,
  )
  config.apply.num = arg.num
  if arg.image:
    config.evals.edits = configs.section(
      type="edits", things=True, asked=("colour=label",)
    )
  return config
