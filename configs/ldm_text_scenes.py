"""A text-to-image model of scenes of one thing: a base for others.

Images are folded to 16 x 16 x 12; captions ("a red striped circle at the top
left") go through a text encoder of one block that is trained along, and are
looked at on maps of 16 x 16 and 8 x 8.

    python -m jmim.main --config=configs/ldm_text_scenes.py --workdir=BASE

Arguments: steps=3000, network=unet (dit: a transformer on patches of 2 that
looks at the caption in each of its six blocks).

Not yet measured here.

Size: 0.913 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

NETWORKS = {
  "unet": dict(
    width=32, multipliers=(1, 2), blocks=1, attend_at=(1, 2), heads=2
  ),
  "dit": dict(body=dict(variant="S/2", width=96, depth=6, heads=3)),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=3000, network="unet")
  choices.check(arg, network=NETWORKS)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/one",
    batch=32,
    size=32,
    flip=False,  # a place is left or right
    mean=half,
    std=half,
    tokenizer="words:scenes",
    text_length=12,
  )
  config.method = configs.section(
    type="latent.ldm",
    size=16,
    channels=12,
    first_stage=dict(variant="fold2", read="images", scale=1.0),
    prediction="v",  # as ddpm_scenes says
    dims=dict(type=arg.network, **NETWORKS[arg.network]),
    noise=dict(schedule="linear", beta_start=1e-4, beta_end=0.02),
    condition=dict(
      task="text",
      transformer=1,
      text=dict(
        vocabulary=30,
        length=12,
        start=1,
        end=2,
        pad=0,
        width=64,
        depth=1,
        heads=2,
      ),
    ),
    sampling=dict(steps=20, guidance=2.0, clip=1.0),
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
