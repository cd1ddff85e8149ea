"""A model that is told which of two things is where, by ellipses: scenes.

Images are folded to 16 x 16 x 12, as in ddpm_scenes.

    python -m jmim.main --config=configs/blob_scenes.py --workdir=BASE
    python -m jmim.main --mode=eval --workdir=BASE \
      --config.evals.samples.examples=64

The second draws samples of held-out descriptions and ellipses.

Argument: steps=3500. A quarter of the descriptions is "object", of pictures
without a caption then, for drags of things that are not described.
`python -m jmim.tools.claim diffuhaul` moves things with it.

Not yet measured here.

Size: 1.54 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs
from jmim.data.procedural import described


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=3500)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/blobs", batch=32, size=32, flip=False, mean=half, std=half
  )
  config.method = configs.section(
    type="edit.blob",
    size=16,
    channels=12,
    first_stage=dict(variant="fold2"),
    prediction="v",  # as ddpm_scenes says
    dims=dict(
      width=32,
      multipliers=(1, 2),
      blocks=1,
      attend_at=(1, 2),
      heads=2,
      dropout=0.0,
    ),
    noise=dict(
      schedule="linear", beta_start=1e-4, beta_end=0.02, spacing="even"
    ),
    condition=dict(
      task="tokens",
      tokens=9,
      vocabulary=len(described.WORDS),
      context=64,
      token_depth=1,
      token_heads=2,
      transformer=1,
    ),
    things=dict(
      hidden=128, vague=0.25, vague_tokens=(described.WORDS.index("object"),)
    ),
    sampling=dict(steps=50, guidance=2.0, clip=1.0),
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
