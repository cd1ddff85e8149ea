"""Quantised autoencoders at 256 x 256, after the paper's table, on ImageNet.

(The authors trained on OpenImages.) Data, weights of the perceptual loss and
command: as autoencoder_kl_imagenet.

Arguments: variant=vq-f4 (vq-f8, vq-f8-n256, vq-f16), steps=500000, batch=96,
ema=0.0 (0.99: a codebook of moving averages with restart, not the authors').

Reference (the authors'; not repeated here; rFID on OpenImages): f4 0.58, f8
1.14, f8 with 256 codes 1.49, f16 5.15.

Size: 58.1 M parameters.
Time: not measured.
Expect: the authors' rFID on OpenImages, not repeated: f4 0.58, f8 1.14.
"""

from jmim.core import choices
from jmim.core import config as configs

# Codes, start and weight of the critic, its layers.
TABLE = {
  "vq-f4": (8192, 0, 0.75, 3),
  "vq-f8": (16384, 1, 0.6, 2),
  "vq-f8-n256": (256, 250_001, 0.75, 3),
  "vq-f16": (16384, 250_001, 0.75, 2),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, variant="vq-f4", steps=500_000, batch=96, ema=0.0
  )
  choices.check(arg, variant=TABLE)
  codes, start, weight, layers = TABLE[arg.variant]
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    train_split="train[:99%]",
    eval_split="train[99%:]",
    batch=arg.batch,
    size=256,
    host_crop="resized",
    eval_crop="center",
    eval_resize=266,
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.autoencoder_vq",
    dims=configs.section(variant=arg.variant),
    size=256,
    codebook=configs.section(
      codes=codes, ema=arg.ema, restart=0.1 if arg.ema else 0.0
    ),
    losses=configs.section(
      perceptual="vgg", disc_start=start, disc_weight=weight, disc_layers=layers
    ),
  )
  # 4.5e-6 times the batch, for both players.
  config.optim.update(
    lr=4.5e-6, lr_batch=1, b1=0.5, b2=0.9, weight_decay=0.0, clip_norm=0.0
  )
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    restoration=configs.section(
      type="restoration", every_steps=10_000, limit=2048
    )
  )
  config.hardware.data_threads = 16
  return config
