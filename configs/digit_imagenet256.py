r"""DiGIT on ImageNet at 256 x 256, both stages, after the released configs.

Data: `imagenet256_digit`, codes of features and of pixels of the same views, of
configs/digit_codes_imagenet256.py, which also makes the table of features.

    R="--config=configs/digit_imagenet256.py"; D=--config.data.data_dir=DIR
    python -m jmim.main --workdir=runs/gpt $R $D
    python -m jmim.main --workdir=runs/ar $R:stage=ar,pixels=runs/vq $D
    python -m jmim.main --mode=sample --num=50000 --workdir=runs/ar \
      $R:stage=ar,pixels=runs/vq,prior=runs/gpt $D

Arguments: stage=gpt (ar, nar), size=base (large: from memory), classes=0 (or
1000), pixels= (run of the tokenizer), prior= (run of stage gpt), batch=0 (0:
theirs), epochs=0 (0: their steps, see STAGES).

Reference: see jmim/methods/discrete/digit.py. Sampled with top-k 200 (large
400; by class 300), stage ar with top-p 0.8, stage nar in 8 calls. Stage two of
the release has the base size; so it has here.

Size: 219 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

BLOCKS = {
  "base": dict(width=1024, depth=16, heads=16),
  "large": dict(width=1536, depth=36, heads=24),
}
CODES = {"base": 8192, "large": 16384}
# Learning rate, total batch, steps.
STAGES = {
  "gpt": (3e-4, 1024, 125_000),
  "ar": (5e-4, 512, 250_000),
  "nar": (5e-4, 1024, 125_000),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    stage="gpt",
    size="base",
    classes=0,
    pixels="",
    prior="",
    batch=0,
    epochs=0,
  )
  choices.check(arg, stage=STAGES, size=BLOCKS)
  config, (lr, batch, steps) = configs.base(), STAGES[arg.stage]
  config.data.update(name="imagenet256_digit", eval_split="test", size=256)
  config.data.update(batch=arg.batch or batch, flip=False)
  config.data.update(mean=(0.5,) * 3, std=(0.5,) * 3)  # as the tokenizer's
  lm = dict(dims=BLOCKS[arg.size])
  top_k = 300 if arg.classes else {"base": 200, "large": 400}[arg.size]
  said = dict(classes=arg.classes, lm=lm, sampling=dict(top_k=top_k))
  semantic = dict(vocabulary=CODES[arg.size])
  config.method = configs.section(type="discrete.digit", semantic=semantic)
  if arg.stage == "gpt":
    config.method.update(said)
  else:
    config.method.update(type="discrete.digit_pixels")
    config.method.pixels = dict(path=arg.pixels)  # vq-f16 of 1024 codes
    config.method.render = dict(type=arg.stage)
    config.method.prior = dict(path=arg.prior, **said)
  config.optim.update(lr=lr, b2=0.98, weight_decay=0.01, clip_norm=1.0)
  config.optim.accumulate = 2 if arg.stage == "nar" else 1
  config.schedule.update(name="rsqrt", warmup_steps=6250, start_lr=1e-7)
  config.train.update(checkpoint_steps=5000, log_steps=100)
  length = dict(total_epochs=float(arg.epochs))
  config.train.update(length if arg.epochs else dict(total_steps=steps))
  config.evals.loss = dict(type="loss", every_steps=10_000, limit=8192)
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
