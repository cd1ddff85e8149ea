"""MAE on scattered handwritten digits: the first run of a new user.

Data: `digits/scattered`, built on first use from scikit-learn's 1,797 real
digits (no download). Command and expected figures (two CPU cores):

    python -m jmim.main --config=configs/mae_digits.py --workdir=runs/digits
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1000)
  config = configs.base()
  config.data.update(
    name="digits/scattered", batch=128, size=32, flip=False,
    mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
  )  # fmt: skip
  config.method = configs.section(
    type="mim.mae", variant="Ti/4", size=32, width=96, depth=4, heads=4,
    decoder_width=48, decoder_depth=1, decoder_heads=4, norm_pix=False,
  )  # fmt: skip
  config.optim.update(lr=1.5e-3, weight_decay=0.05)
  config.schedule.warmup_steps = 100
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    probe=configs.section(type="probe"),
    knn=configs.section(type="knn"),
    recon=configs.section(type="recon", every_steps=500),
  )
  return config
