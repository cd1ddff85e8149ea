"""Fine-tuning on the latents of scattered digits, after configs/lmd_digits.py.

    python -m jmim.main --config=configs/lmd_finetune_digits.py:autoencoder=AE \
      --workdir=W --config.init_from.path=PRETRAINED

AE is the run of configs/autoencoder_kl_digits.py, PRETRAINED that of
lmd_digits. Arguments: autoencoder=, steps=1000. Without init_from.path it
trains from scratch: the line to compare with. Not measured here.

Size: 0.203 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, autoencoder="", steps=1000)
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
    type="supervised.latent_finetune",
    size=8,
    channels=3,
    classes=10,
    dims=dict(variant="Ti/2", width=64, depth=4, heads=4),
    mixing=dict(mixup=0.2, cutmix=0.0),
    drop_path=0.05,
    first_stage=dict(
      read="images", variant="kl-f4", width=32, blocks=1, path=arg.autoencoder
    ),
  )
  config.init_from.update(
    skip=("^main/decoder/", "^main/encoder/norm/"),
    reinit=("^main/head/", "pos_embed$"),
  )
  config.optim.update(
    name="adan", lr=1e-3, b1=0.98, b2=0.92, b3=0.99, layer_decay=0.75
  )
  config.schedule.update(warmup_share=0.1, min_lr=1e-6)
  config.train.update(total_steps=arg.steps, checkpoint_steps=250, log_steps=50)
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_steps=250)
  )
  return config
