"""DiTi on one thing at 16 px: a host, then its code in blocks of time.

    python -m jmim.main --config=configs/diti_shapes.py:stage=host --workdir=H
    python -m jmim.main --config=configs/diti_shapes.py:host=H --workdir=W
    python -m jmim.tools.draw_swaps --workdir=W --out=swaps.png

Noise hides texture and tint at t = 250 of 1000 (the best guess is wrong once in
four), kind, place and size at 550 to 650. `attributes` probes the code, and the
half that times below 500 may read.

Arguments: stage=diti (host), host= (its run), blocks=8 (1: PDAE), mode=base
(stop_grad, dual), steps=0: 2000 (host), 1000.

Size: 0.87 M parameters.
Time: 10 minutes on one core; the host 20.
Expect: error of the noise 0.0066, of the frozen host 0.0076.
"""

from jmim.core import choices
from jmim.core import config as configs

STEPS, CODE = {"host": 2000, "diti": 1000}, 64
ATTRIBUTES = ("label", "place", "large", "texture", "warm")
UNET = dict(
  width=32,
  multipliers=(1, 2),
  blocks=1,
  attend_at=(2,),
  heads=2,
  norm_groups=8,
  dropout=0.0,
  scale_shift=True,
  updown=True,
)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, stage="diti", host="", blocks=8, mode="base", steps=0
  )
  choices.check(arg, stage=STEPS)
  config = configs.base()
  half = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
  config.data.update(
    name="shapes/attributes", batch=32, size=16, flip=False, **half
  )
  if arg.stage == "host":
    config.method = configs.section(type="diffusion.ddpm", size=16, dims=UNET)
  else:
    config.method = configs.section(
      type="diffusion.diti",
      size=16,
      dims=UNET,
      host=dict(path=arg.host, weights="ema"),
      encoder=dict(widths=(32, 64), norm_groups=8),
      blocks=dict(width=CODE, blocks=arg.blocks, stages=(), stage_widths=()),
      sampling=dict(steps=50, inversion=100),
      mode=arg.mode,
    )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(
    total_steps=arg.steps or STEPS[arg.stage], checkpoint_steps=500
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", weights="ema", limit=1024)
  )
  if arg.stage == "diti":
    config.evals.attributes = configs.section(
      type="attributes",
      weights="ema",
      classes=ATTRIBUTES,
      train_limit=1000,
      parts=(f":{CODE // 2}", ":"),
    )
    config.evals.samples = configs.section(type="samples", weights="ema")
    config.evals.restoration = configs.section(
      type="restoration", weights="ema", limit=64
    )
  return config
