"""Affinities of voxels on procedural volumes, segments by agglomeration.

    python -m jmim.main --config=configs/affinity_membranes.py --workdir=W

from scratch, or after tokenunify_membranes with start= its workdir. Whole
volumes of 12 x 48 x 48 are read in windows of 8 x 40 x 40 for evaluation.
Arguments: start= (""), steps=400.

Size: 0.0646 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, start="", steps=400)
  config = configs.base()
  config.data.update(
    name="membranes/small",
    batch=8,
    volume=(8, 40, 40),
    eval_volume=(12, 48, 48),
    flip=True,
  )
  config.method = configs.section(
    type="supervised.voxel_affinity",
    shape=(8, 40, 40),
    dims=dict(widths=(8, 16), depths=(1, 1), hidden=32, slices=5),
  )
  if arg.start:
    config.init_from.update(
      path=arg.start,
      skip=(r"^main/next/", r"^main/net/out/"),
      reinit=(r"^main/net/out/",),
    )
  config.optim.update(lr=3e-3, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_share=0.05)
  config.train.update(total_steps=arg.steps, checkpoint_steps=200, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss"),
    segments=configs.section(type="segments"),
  )
  return config
