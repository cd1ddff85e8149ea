"""TokenUnify on electron-microscopy volumes, after the paper.

Data: FAFB and others as a data set of your own (docs/add_a_data_set.md) whose
examples hold `volume` uint8 [d, h, w], each scaled to 0 .. 255 from its least
to its greatest value; `fafb` is its name here.

    python -m jmim.main --config=configs/tokenunify_fafb.py --workdir=DIR \
      --config.data.data_dir=DATA

Arguments: variant=507M (28M, 113M, 207M, 1009M: the released sizes, base to
huge, with two layers in each stage and kernels of side 5 in the decoder; the
paper's 100 M, 200 M, 500 M and 1 B), batch=320, steps=500000.

Rates as released: 1e-3 per 256 crops, no warm-up, cosine to 0. The curriculum
is the paper's. As in the released pre-training nothing is flipped or turned;
what it does to half of the inputs, against a clean target (noise, blur or
parts cut out), is left out.

Reference (authors; not repeated here): VOI 0.995 and ARAND 0.051 on wafer data
after fine-tuning; from scratch 1.784 and 0.205, MAE 1.325 and 0.098.

Size: 507 M parameters.
Time: not measured.
Expect: the authors' VOI after fine-tuning, not repeated: 0.995.
"""

from jmim.core import choices
from jmim.core import config as configs

# Widths of the stages, and channels behind the last level.
VARIANTS = {
  "28M": ((32, 64, 128, 256), 512),
  "113M": ((64, 128, 256, 512), 1024),
  "207M": ((96, 192, 384, 768), 1024),
  "507M": ((144, 288, 576, 1104), 2048),
  "1009M": ((192, 384, 768, 1536), 3072),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, variant="507M", batch=320, steps=500_000)
  choices.check(arg, variant=VARIANTS)
  widths, hidden = VARIANTS[arg.variant]
  config = configs.base()
  config.data.update(
    name="fafb",
    batch=arg.batch,
    volume=(16, 160, 160),
    flip=False,
    turn=False,
  )
  config.method = configs.section(
    type="mim.tokenunify",
    shape=(16, 160, 160),
    patch=(4, 16, 16),
    dims=dict(
      widths=widths,
      depths=(2, 2, 2, 2),
      hidden=hidden,
      slices=5,
      kernel=5,
    ),
    mixture=dict(name="curriculum", steps=arg.steps),
  )
  config.optim.update(
    lr=1e-3, lr_batch=256, b2=0.95, weight_decay=0.05, clip_norm=1.0
  )
  config.schedule.update(name="cosine", warmup_steps=0)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=5000)
  )
  config.hardware.remat = "full"
  config.hardware.data_threads = 16
  return config
