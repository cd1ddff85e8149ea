"""MicroDiT on one or two coloured shapes of 16 px, told what they are.

    R=configs/microdit_shapes.py
    python -m jmim.main --config=$R --workdir=runs/micro
    python -m jmim.main --config=$R:stage=whole,start=runs/micro --workdir=W
    python -m jmim.main --mode=eval --workdir=W \
      --config.evals.samples.examples=64

The last draws samples of held-out captions.

64 patches of 2 px, of which 16 are kept behind a mixer of two blocks. Captions
("red square left of blue cross") are words with a learned vector each.
Arguments: stage=masked (whole: nothing is removed), start= (a run; empty: from
nothing), steps=0 (0: 1200, and 300 of the second stage), mixer=2 (blocks; 0:
patches are removed at once). Compare `errors/whole`, the held-out error with
all patches: `python -m jmim.tools.claim microdit`.

Size: 0.656 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

STEPS = {"masked": 1200, "whole": 300}


def get_config(arg: str | None = None):
  known = dict(stage="masked", start="", steps=0, mixer=2)
  arg = configs.parse_arg(arg, **known)
  choices.check(arg, stage=STEPS)
  masked = arg.stage == "masked"
  steps = arg.steps or STEPS[arg.stage]
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="shapes/tiny", batch=64, size=16, flip=False, mean=half, std=half
  )
  config.data.update(tokenizer="words:shapes", text_length=6)
  config.data.update(text_start=-1, text_end=-1)
  config.method = configs.section(
    type="diffusion.microdit",
    size=16,
    channels=3,
    mask_ratio=0.75 if masked else 0.0,
    patches=dict(
      backbone=dict(
        width=64,
        depth=4,
        head=16,
        qkv_ratios=(0.5, 0.75, 0.75, 1.0),
        mlp_ratios=(0.5, 1.5, 3.0, 4.0),
        multiple=32,
        experts=4,
      ),
      mixer=dict(depth=arg.mixer, mlp_ratio=2.0),
    ),
    caption=dict(kind="words", length=6, width=32, vocabulary=13),
    noise=dict(mean=-1.2, data_std=0.5),
    sampling=dict(steps=18, guidance=3.0, clip=1.0),
  )
  config.init_from.path = arg.start
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.01, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=min(100, steps // 10))
  config.ema.decay = 0.995
  config.train.update(total_steps=steps, checkpoint_steps=300, log_steps=50)
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=500),
    samples=configs.section(type="samples", weights="ema"),
  )
  return config
