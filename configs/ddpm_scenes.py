"""DDPM on scenes of one thing, conditional on its colour: a base for others.

Images are folded to 16 x 16 x 12 (exact, and noise stays noise), which makes a
step four times as cheap as on 32 px.

    python -m jmim.main --config=configs/ddpm_scenes.py --workdir=BASE
    python -m jmim.main --mode=sample --config=configs/ddpm_scenes.py \
      --workdir=BASE --num=64 --weights=ema

Arguments: steps=3000, predict=v (eps). Trained to predict the noise, a network
so small has no colours after 3000 steps: what the mean of a channel costs in
that loss is 0.004 of a pixel's, and at most times less.

Size: 0.721 M parameters.
Time: 29 minutes on one core beside other jobs.
Expect: things of the asked colour with ragged outlines.
"""

from jmim.core import choices
from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=3000, predict="v")
  choices.check(arg, predict=("v", "eps"))
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/one", batch=32, size=32, flip=False, mean=half, std=half
  )
  config.method = configs.section(
    type="diffusion.ddpm",
    size=16,
    channels=12,
    first_stage=dict(variant="fold2"),
    dims=dict(
      width=32,
      multipliers=(1, 2),
      blocks=1,
      attend_at=(1, 2),
      heads=2,
      dropout=0.0,
    ),
    labels=dict(classes=5),
    prediction=arg.predict,
    sampling=dict(steps=50),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=1000, log_steps=50
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=512, weights="ema"),
    samples=configs.section(type="samples", weights="ema"),
  )
  return config
