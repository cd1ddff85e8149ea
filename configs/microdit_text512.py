"""MicroDiT-XL/2 at 512 px, from that of 256 px: the last two of four stages.

Examples of `text512_latents` are those of configs/microdit_text256.py with
moments of [64, 64, 8]. Positions are no parameters: those of the finer grid lie
between the ones before (`position_scale=2`), and all else goes on as it was.

    R=configs/microdit_text512.py
    python -m jmim.main --config=$R:start=W2 --workdir=W3 \
      --config.data.data_dir=DIR
    python -m jmim.main --config=$R:stage=whole,start=W3 --workdir=W4 ...

Arguments: stage=masked (whole), start= (a run), batch=2048. The released
configs begin the average of the weights after 25,000 steps (whole: 1000), and
their trainer does not average at all; here it is over the whole stage.

Reference: see configs/microdit_text256.py.

Size: 1165 M parameters.
Time: not measured.
Expect: the authors' FID-30K of COCO after all stages, not repeated: 12.66.
"""

import numpy as np

from jmim.core import choices
from jmim.core import config as configs

# (steps, share removed, warm-up, decay of the average).
STAGES = {
  "masked": (50_000, 0.75, 500, 0.99975),
  "whole": (5000, 0.0, 0, 0.9975),
}
DEPTH = 28


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, stage="masked", start="", batch=2048)
  choices.check(arg, stage=STAGES)
  steps, removed, warmup, decay = STAGES[arg.stage]
  config = configs.base()
  config.data.update(name="text512_latents", batch=arg.batch, size=512)
  config.data.update(flip=False, mean=(0.5,) * 3, std=(0.5,) * 3)
  spread = lambda low, high: tuple(np.linspace(low, high, DEPTH).tolist())
  ratios = dict(qkv_ratios=spread(0.5, 1.0), mlp_ratios=spread(0.5, 4.0))
  config.method = configs.section(
    type="diffusion.microdit",
    size=64,
    mask_ratio=removed,
    patches=dict(
      position_scale=2.0,
      backbone=dict(width=1024, depth=DEPTH, head=64, **ratios),
      mixer=dict(depth=6, width=768),
    ),
    first_stage=dict(variant="kl-f8", scale=0.13025),
    noise=dict(mean=0.0, std=0.6),
  )
  config.init_from.path = arg.start
  config.optim.update(lr=8e-5, b2=0.999, weight_decay=0.1, clip_norm=0.5)
  config.schedule.update(name="constant", warmup_steps=warmup)
  config.ema.decay = decay
  config.train.update(total_steps=steps, checkpoint_steps=5000, log_steps=50)
  config.evals.errors = configs.section(
    type="mean", every_steps=10_000, limit=1024
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
