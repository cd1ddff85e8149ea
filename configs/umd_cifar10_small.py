"""Class-conditional UMD on CIFAR-10, as much as two CPU cores train.

Five blocks of width 128 and two of the decoder, 1.2 epochs. Data as for
`configs/umd_cifar10.py`.

    python -m jmim.tools.claim umd_cifar10 --config.data.data_dir=DIR

trains a classifier by the fine-tuning recipe, then this, and measures the
Frechet distance of the samples in the classifier's features at three
checkpoints. Alone:

    python -m jmim.main --config=configs/umd_cifar10_small.py \
      --workdir=runs/umd_c --config.data.data_dir=DIR \
      --config.evals.fid.encoder=runs/CLASSIFIER

Arguments: steps=900.

Size: 2.28 M parameters.
Time: 10 minutes on one CPU core.
Expect: Frechet distance 32.5 in a classifier's features (claim umd_cifar10).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=900)
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=64,
    size=32,
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="diffusion.umd",
    dims=configs.section(variant="Ti/4", width=128, depth=5, heads=4),
    size=32,
    decoder_depth=2,
    labels=configs.section(classes=10),
    clean_share=0.5,
    clean_mask=0.75,
    noised_mask=0.375,
    sampling=configs.section(guidance=2.0, eta=0.0, steps=12),
  )
  config.optim.update(lr=1.5e-3, b2=0.95, weight_decay=0.05, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_share=1 / 15)
  config.ema.decay = 0.99
  third = arg.steps // 3
  config.train.update(total_steps=arg.steps, checkpoint_steps=third)
  config.evals = configs.section(
    errors=configs.section(type="mean", every_steps=third, limit=1024),
    fid=configs.section(
      type="fid",
      weights="ema",
      every_steps=third,
      reference="eval",
      samples=256,
      allow_few=True,
    ),
    samples=configs.section(
      type="samples",
      weights="ema",
      every_steps=third,
      examples=64,
    ),
  )
  return config
