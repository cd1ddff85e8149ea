"""A restorer of spoilt faces of 16 px: what DifFace begins with.

    python -m jmim.main --config=configs/restorer_faces.py --workdir=R
    python -m jmim.main --config=configs/difface_faces.py:restorer=R --workdir=W

Arguments: net=conv (srcnn, swinir), error=l2 (l1), degradation=face_small
(face_light, face_middle, face_heavy), steps=1000.

Size: 0.0573 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

NETS = {
  "conv": dict(layers=8, width=32),
  "srcnn": dict(),
  # A place of the map is a square of 2 x 2 pixels.
  "swinir": dict(depths=(2, 2), heads=2, width=24, window=4, unshuffle=2)
  | dict(tail=24),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, net="conv", error="l2", degradation="face_small", steps=1000
  )
  choices.check(arg, net=NETS)
  config = configs.base()
  config.data.update(
    name="faces/small",
    batch=64,
    size=16,
    flip=False,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
  )
  config.method = configs.section(
    type="restore.restorer",
    size=16,
    net=configs.section(type=arg.net, **NETS[arg.net]),
    error=arg.error,
    degraded=configs.section(degradation=arg.degradation),
  )
  config.optim.update(lr=2e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_steps=50)
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    restoration=configs.section(type="restoration", limit=512)
  )
  return config
