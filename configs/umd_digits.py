"""UMD on the plain 8 x 8 digits: the small-scale claim of the paper's card.

One network that fills in hidden patches of clean digits as well as MAE and
predicts noise nearly as well as DiT.

    python -m jmim.main --config=configs/umd_digits.py --workdir=runs/umd
    python -m jmim.main --mode=sample --config=configs/umd_digits.py \
      --workdir=runs/umd --num=64 --steps=50

Arguments: steps=1500, classes=0 (10: conditional on the digit).

Held-out error of hidden pixels / of the noise, the authors' code: UMD 0.162 /
0.180, DiT 0.557 / 0.154, MaskDiT 0.197 / 0.170, MAE 0.155 / 1.007. Measured
here (one seed): 0.164 / 0.184, 0.632 / 0.156, 0.201 / 0.178, 0.158 / 1.005.
`python -m jmim.tools.claim umd` trains all four and compares; 6 to 10 minutes
each on one core that is shared with other work.

Size: 0.478 M parameters.
Time: 6 to 10 minutes on one CPU core.
Expect: error of hidden pixels 0.164, of the noise 0.184.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1500, classes=0)
  config = configs.base()
  config.data.update(
    name="digits/plain",
    batch=128,
    size=8,
    channels=1,
    flip=False,
    mean=(0.5,),
    std=(0.5,),
  )
  config.method = configs.section(
    type="diffusion.umd",
    dims=configs.section(variant="Ti/2", width=64, depth=4, heads=4),
    size=8,
    channels=1,
    decoder_depth=2,
    labels=configs.section(classes=arg.classes),
    clean_share=0.5,
    clean_mask=0.75,
    noised_mask=0.375,
  )
  config.optim.update(lr=2e-3, b2=0.95, weight_decay=0.05, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_share=0.05)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    errors=configs.section(type="mean", repeats=4),
    probe=configs.section(type="probe"),
    recon=configs.section(type="recon"),
    samples=configs.section(type="samples"),
  )
  return config
