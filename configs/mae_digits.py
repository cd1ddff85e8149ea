"""MAE on scattered handwritten digits: the first run of a new user.

Data: `digits/scattered`, built on first use from scikit-learn's 1,797 real
digits (no download): one digit, twice as large, anywhere on a coloured
canvas. Patches of 8 pixels and a decoder of four blocks: a deep decoder
leaves more of the encoder's last blocks to the representation (the paper's
decoder ablation), and 16 tokens make steps cheap.

    python -m jmim.main --config=configs/mae_digits.py --workdir=runs/digits

Arguments: steps=1000.

Measured (one seed, two CPU cores, 4 minutes): probe accuracy 35.4 %,
untrained 32.8 %, pixels 12.4 %; hidden-pixel error 0.0118, against 0.0252 for
the nearest visible pixel. docs/curves/mae_digits.json holds the curve.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1000)
  config = configs.base()
  config.data.update(
    name="digits/scattered", batch=64, size=32, flip=False,
    mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
  )  # fmt: skip
  config.method = configs.section(
    type="mim.mae", variant="Ti/8", size=32, width=96, depth=4, heads=3,
    decoder_width=96, decoder_depth=4, decoder_heads=3, mask_ratio=0.6,
    norm_pix=False,
  )  # fmt: skip
  config.optim.update(lr=1.5e-3, weight_decay=0.05)
  config.schedule.warmup_steps = 100
  config.train.update(total_steps=arg.steps, checkpoint_steps=250, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    probe=configs.section(
      type="probe", predict="tokens", penalty=100.0, train_limit=4000
    ),
    knn=configs.section(type="knn", predict="tokens", train_limit=4000),
    recon=configs.section(type="recon", batches=4),
  )
  return config
