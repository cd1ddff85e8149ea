"""MicroDiT-XL/2 on captioned images at 256 px, masked and then whole.

Examples of `text256_latents` hold `moments` [32, 32, 8] of SDXL's autoencoder
(`jmim.tools.cache_latents`, imported as `diffusers_autoencoder`) and `context`
[77, 1024], float16 features of a frozen text encoder, DFN-5B's CLIP ViT-H/14 in
the paper: a program of their own makes them, see docs/add_a_data_set.md.

    R=configs/microdit_text256.py
    python -m jmim.main --config=$R --workdir=W1 --config.data.data_dir=DIR
    python -m jmim.main --config=$R:stage=whole,start=W1 --workdir=W2 ...

and on with configs/microdit_text512.py:start=W2. Arguments: stage=masked
(whole), start= (a run), size=XL (Tiny), batch=2048. To sample, add
--config.method.first_stage.path=VAE.

Reference (the authors'; not repeated here), after all four stages, COCO
zero-shot: FID-30K 12.66, 12.72 without synthetic images; GenEval 0.46.

Size: 1165 M parameters.
Time: not measured.
Expect: the authors' FID-30K of COCO after all stages, not repeated: 12.66.
"""

import numpy as np

from jmim.core import choices
from jmim.core import config as configs

# (steps, share removed, learning rate, its end, warm-up).
STAGES = {
  "masked": (250_000, 0.75, 2.4e-4, 0.33, 2500),
  "whole": (30_000, 0.0, 8e-5, 1.0, 0),
}
SIZES = {
  "XL": (dict(width=1024, depth=28, head=64), dict(depth=6, width=768)),
  "Tiny": (dict(width=512, depth=16, head=32), dict(depth=4)),
}


def get_config(arg: str | None = None):
  known = dict(stage="masked", start="", size="XL", batch=2048)
  arg = configs.parse_arg(arg, **known)
  choices.check(arg, stage=STAGES, size=SIZES)
  steps, removed, rate, end, warmup = STAGES[arg.stage]
  config = configs.base()
  config.data.update(name="text256_latents", batch=arg.batch, size=256)
  config.data.update(flip=False, mean=(0.5,) * 3, std=(0.5,) * 3)
  backbone, mixer = SIZES[arg.size]
  spread = lambda low, high: tuple(
    np.linspace(low, high, backbone["depth"]).tolist()
  )
  ratios = dict(qkv_ratios=spread(0.5, 1.0), mlp_ratios=spread(0.5, 4.0))
  config.method = configs.section(
    type="diffusion.microdit",
    mask_ratio=removed,
    patches=dict(backbone=backbone | ratios, mixer=mixer),
    first_stage=dict(variant="kl-f8", scale=0.13025),
  )
  config.init_from.path = arg.start
  config.optim.update(lr=rate, b2=0.999, weight_decay=0.1, clip_norm=0.25)
  shape = "cosine" if end < 1 else "constant"
  config.schedule.update(name=shape, warmup_steps=warmup)
  if end < 1:
    config.schedule.min_lr = end * rate
  config.train.update(total_steps=steps, checkpoint_steps=5000, log_steps=50)
  config.evals.errors = configs.section(
    type="mean", every_steps=10_000, limit=1024
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
