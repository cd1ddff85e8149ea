"""DiffUHaul on scenes of two things: the first one is moved.

    python -m jmim.main --config=configs/blob_scenes.py --workdir=BASE
    python -m jmim.main --mode=apply \
      --config=configs/diffuhaul_scenes.py:base=BASE --workdir=W

Arguments: base= (a run of blob_scenes), num=128, vague=False (True: both things
are described as "object", without a caption), real=False (True: pictures of the
data are moved; else the model makes them of their ellipses and words),
plain=False (True: a moved ellipse and new noise, all parts off, to compare).
`python -m jmim.tools.claim diffuhaul` compares.

Not yet measured here.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs
from jmim.data.procedural import described


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, base="", num=128, vague=False, real=False, plain=False
  )
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/blobs", batch=32, size=32, mean=half, std=half
  )
  words = (described.WORDS.index("object"),) if arg.vague else ()
  config.procedure = configs.section(
    type="edit.diffuhaul",
    source=dict(path=arg.base, recipe="configs/blob_scenes.py"),
    description=dict(words=words),
    begin=dict(real=arg.real),
    kept=dict(grow=1, feather=1),
    steps=50,
    guidance=2.0,
    clip=1.0,
  )
  if arg.plain:
    off = dict(mask=False, share=False, anchor="off", copy="off")
    config.procedure.update(
      branches=off,
      begin=dict(real=arg.real, fresh=not arg.real),
      kept=dict(blend=False, paste=False),
    )
  config.apply.num = arg.num
  config.evals.drags = configs.section(type="drags")
  return config
