"""An LDM of scenes in pixels, told by a frozen T5's encoder.

Images are folded to 16 x 16 x 12 (exact). What is told of a caption is as long
as a text may be, zeros behind its end, so that projected features may stand in
its place (configs/prompted_scenes.py).

    python -m jmim.main --config=configs/t5_scenes.py --workdir=runs/t5
    python -m jmim.main --config=configs/t5_ldm_scenes.py:t5=runs/t5 \
      --workdir=runs/told
    python -m jmim.main --mode=eval --workdir=runs/told \
      --config.evals.samples.examples=64

The last draws samples of held-out captions.

Arguments: t5= (a run of t5_scenes), steps=3000.

Not yet measured here.

Size: 1.09 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

LENGTH, END = 10, 2  # as in t5_scenes
SIZES = dict(words=36, width=64, depth=2, heads=4, head_width=16, hidden=128)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, t5="", steps=3000)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/one", batch=32, size=32, flip=False, mean=half, std=half
  )
  config.data.update(
    tokenizer="words:scenes", text_length=LENGTH, text_start=-1, text_end=END
  )
  t5 = dict(buckets=16, distance=16, **SIZES)
  encoder = dict(type="t5", t5=t5, length=LENGTH, end=END, path=arg.t5)
  config.method = configs.section(
    type="latent.ldm",
    size=16,
    channels=12,
    first_stage=dict(variant="fold2", scale=1.0),
    prediction="v",  # as ddpm_scenes says
    dims=dict(
      width=32,
      multipliers=(1, 2),
      blocks=1,
      attend_at=(2,),
      heads=2,
      dropout=0.0,
    ),
    noise=dict(schedule="linear", beta_start=1e-4, beta_end=0.02),
    condition=dict(task="text", transformer=1, text=encoder),
    sampling=dict(steps=50, guidance=2.0),
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
