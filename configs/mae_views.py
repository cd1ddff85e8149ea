"""MAE on small frames of scenes, rectangles of 24 x 32 px: stage A of NViST.

Data: the frames of `views/solids`, one by one (`configs/nvist_views.py`).

    python -m jmim.main --config=configs/mae_views.py --workdir=A

Arguments: steps=1000.

Size: 0.562 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1000)
  config = configs.base()
  sides = dict(height=24, size=32)
  config.data.update(name="views/solids", batch=64, flip=False, **sides)
  config.method = configs.section(
    type="mim.mae",
    dims=configs.section(variant="Ti/4", width=96, depth=4, heads=3),
    decoder_dims=configs.section(width=64, depth=2, heads=2),
    norm_pix=False,
    **sides,
  )
  config.optim.update(lr=1e-3, weight_decay=0.05)
  config.schedule.warmup_steps = 100
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    recon=configs.section(type="recon", batches=1),
  )
  return config
