"""MAE on scattered handwritten digits: the first run of a new user.

Data: `digits/scattered`, built on first use from scikit-learn's 1,797 real
digits (no download): one digit, twice as large, anywhere on a coloured
canvas. The ridge probe reads all 64 patch tokens, as its reference line reads
all pixels; averaged over the canvas they tell background from digit only.

    python -m jmim.main --config=configs/mae_digits.py --workdir=runs/digits

Arguments: steps=1000.

Measured (one seed, two CPU cores, four minutes): probe accuracy 49.1 %,
untrained 34.0 %, pixels 15.0 %; hidden-pixel error 0.0087, against 0.0126 for
the nearest visible pixel. docs/curves/mae_digits.json holds the curve.

Size: 0.215 M parameters.
Time: 4 minutes on two CPU cores.
Expect: probe 49.1 % (untrained 34.0 %, pixels 15.0 %).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1000)
  config = configs.base()
  config.data.update(
    name="digits/scattered",
    batch=64,
    size=32,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="mim.mae",
    dims=dict(variant="Ti/4", width=64, depth=3, heads=2),
    size=32,
    decoder_dims=dict(width=48, depth=2, heads=2),
    mask_ratio=0.6,
    norm_pix=False,
  )
  config.optim.update(lr=2e-3, weight_decay=0.05)
  config.schedule.warmup_share = 0.1
  config.train.update(total_steps=arg.steps, checkpoint_steps=250, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    probe=configs.section(
      type="probe", predict="tokens", penalty=100.0, train_limit=4000
    ),
    recon=configs.section(type="recon", batches=4, every_steps=250),
  )
  return config
