"""CUE on darkened CIFAR-10: both priors, then the enhancer.

Data: TFDS `cifar10` as ArrayRecord in --config.data.data_dir. Images are
darkened in every step (`degraded`, "low_light"); the priors see normal light.

    R=configs/cue_cifar10.py
    python -m jmim.main --config=$R:stage=noise --workdir=P
    python -m jmim.main --config=$R:stage=light --workdir=L
    python -m jmim.main --config=$R:noise=P,light=L --workdir=W

Arguments: stage=enhance (noise, light), noise= and light= (runs of the priors;
'': without that loss, and a fresh prior), target=hog (pixels: the baseline of
the claim), steps=0 (0: 1500).

Size: 0.21 M parameters.
Time: not measured.
Expect: 6 dB above the dark image (the claim `cue`; not measured).
"""

from jmim.core import choices
from jmim.core import config as configs

STAGES = ("enhance", "noise", "light")
PRIOR = dict(variant="Ti/4", width=96, depth=3, heads=4, mlp_ratio=2.0)
# The enhancer begins at the encoder of the prior of light.
BEGIN = dict(
  rename=(("^main/encoder/", "main/unfold/prior/"),),
  skip=("^main/decoder/",),
  reinit=("^main/(adjust|restore)/", "^main/unfold/(?!prior/)"),
)
ARGUMENTS = dict(stage="enhance", noise="", light="", target="hog", steps=0)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, **ARGUMENTS)
  choices.check(arg, stage=STAGES, target=("hog", "pixels"))
  config = configs.base()
  batch = 64 if arg.stage == "noise" else 16
  config.data.update(name="cifar10", batch=batch, size=32)
  config.data.update(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
  config.optim.update(name="adamw", lr=1e-3, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="cosine", warmup_steps=50)
  config.ema.decay = 0.99
  config.train.update(total_steps=arg.steps or 1500, checkpoint_steps=500)
  seen = dict(weights="ema", limit=1024)
  if arg.stage == "enhance":
    config.method = configs.section(
      type="restore.cue",
      size=32,
      unfold=configs.section(width=16),
      losses=configs.section(prior=0.001 if arg.noise else 0.0),
      prior=configs.section(path=arg.noise, dims=configs.section(**PRIOR)),
    )
    config.init_from.update(path=arg.light, weights="ema", **BEGIN)
    config.evals = configs.section(
      restoration=configs.section(type="restoration", **seen),
      gained=configs.section(type="restoration", predict="gained", **seen),
    )
    return config
  config.evals = configs.section(
    recon=configs.section(type="recon", weights="ema", batches=8)
  )
  if arg.stage == "light":
    config.method = configs.section(type="restore.cue_light", size=32, window=4)
    return config
  config.method = configs.section(
    type="restore.cue_noise",
    size=32,
    dims=configs.section(**PRIOR),
    decoder_dims=configs.section(width=48, depth=1, heads=4),
    cell=4,
    target_of=arg.target,
  )
  seen["predict"] = "distances"
  config.evals.distances = configs.section(type="mean", **seen)
  return config
