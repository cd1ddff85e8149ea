"""DiT in the latents of the scattered digits, given the digit.

The latents are those of ldm_digits, 8 x 8 x 3; tokens are squares of 2 x 2.

    python -m jmim.main --config=configs/autoencoder_kl_digits.py --workdir=AE
    python -m jmim.main --config=configs/dit_latents_digits.py:autoencoder=AE \
      --workdir=W

Arguments: autoencoder= (its run; the latents are divided by the deviation that
it logged last), steps=2500.

Not yet run to its end here.

Size: 0.727 M parameters.
Time: not measured.
Expect: not measured here.
"""

import pathlib

from jmim.core import config as configs
from jmim.core import errors
from jmim.runlog import writer


def deviation(workdir: str) -> float:
  """Of the latents of a run of an autoencoder, as it logged last."""
  key = "latent_std"
  log = pathlib.Path(workdir) / "metrics.jsonl"
  lines = writer.read(workdir) if log.is_file() else []
  found = [line[key] for line in lines if key in line]
  if not found:
    raise errors.UserError(
      f"{workdir}, which has logged no {key}",
      "a run of latent.autoencoder_kl",
      "name its workdir",
      "--config",
    )
  return found[-1]


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, autoencoder="", steps=2500)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="digits/scattered", batch=64, size=32, flip=False, mean=half, std=half
  )
  config.method = configs.section(
    type="diffusion.dit",
    dims=dict(variant="S/2", width=96, depth=4, heads=4),
    size=8,
    channels=3,
    labels=dict(classes=10),
    first_stage=dict(
      read="images",
      variant="kl-f4",
      width=32,
      blocks=1,
      path=arg.autoencoder,
      scale=1 / deviation(arg.autoencoder) if arg.autoencoder else 1.0,
    ),
    sampling=dict(steps=50, clip=0.0),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.995
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=1000, log_steps=50
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=512),
    samples=configs.section(type="samples", weights="ema"),
  )
  return config
