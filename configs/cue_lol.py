"""CUE on LOL at the published size: both priors, then the enhancer.

A TFDS data set `lol` with the features `low` and `high` (LOL-v1, 485 and 15
pairs of 400 x 600; docs/add_a_data_set.md). The priors read a folder of its
images in normal light, H.

    C=configs/cue_lol.py
    D=--config.data.data_dir
    python -m jmim.main --config=$C:stage=noise --workdir=P $D=H
    python -m jmim.main --config=$C:stage=light --workdir=L $D=H
    python -m jmim.main --config=$C:noise=P,light=L --workdir=W $D=DIR

Arguments: stage=enhance (noise, light), noise=, light= (runs of the priors),
batch=0 (0: 8 of noise, 32 of the others; the authors' enhancer: 4).

Evaluation is of central squares, all of the height, at 224 pixels; the authors'
is of whole images.

Size: 0.22 M parameters.
Time: not measured.
Expect: 21.7 to 21.9 dB (the authors', from memory; not repeated).
"""

from jmim.core import choices
from jmim.core import config as configs

# Side of a crop, batch, learning rate, drops in units of the first, 50,000.
STAGES = {
  "enhance": (224, 32, 1e-4, (2.0, 3.0, 4.0, 5.0)),
  "noise": (224, 8, 5e-4, (2.0, 3.0, 5.0)),
  "light": (120, 32, 1e-4, (2.0, 3.0, 5.0)),
}
# The enhancer begins at the encoder of the prior of light.
BEGIN = dict(
  rename=(("^main/encoder/", "main/unfold/prior/"),),
  skip=("^main/decoder/",),
  reinit=("^main/(adjust|restore)/", "^main/unfold/(?!prior/)"),
)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, stage="enhance", noise="", light="", batch=0)
  choices.check(arg, stage=STAGES)
  side, batch, rate, again = STAGES[arg.stage]
  share = side * side / (400 * 600)  # a square of that side, as it is stored
  config = configs.base()
  config.data.update(
    name="lol" if arg.stage == "enhance" else "folder",
    batch=arg.batch or batch,
    size=side,
    host_crop="resized",
    crop_scale=(share, share),
    crop_ratio=(1.0, 1.0),
    eval_crop="center",
    turn=True,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
  )
  config.optim.update(name="adamw", lr=rate, b2=0.999, weight_decay=0.0)
  drops = dict(drop_factor=0.5, drop_steps=50_000, drop_again=again)
  config.schedule.update(name="step", warmup_steps=0, **drops)
  config.ema.decay = 0.999
  config.train.update(total_steps=300_000, checkpoint_steps=5000, log_steps=100)
  seen = dict(weights="ema", every_steps=5000)
  if arg.stage != "enhance":
    config.data.eval_share = 0.03
    config.method = configs.section(type=f"restore.cue_{arg.stage}", size=side)
    config.evals = configs.section(recon=configs.section(type="recon", **seen))
    return config
  config.method = configs.section(
    type="restore.cue",
    size=side,
    degraded=configs.section(degradation="pairs"),
    prior=configs.section(path=arg.noise),
  )
  config.init_from.update(path=arg.light, weights="ema", **BEGIN)
  config.evals = configs.section(
    restoration=configs.section(type="restoration", **seen)
  )
  return config
