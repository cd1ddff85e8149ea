"""Class-conditional UMD on CIFAR-10.

Data: TFDS `cifar10` as ArrayRecord in --config.data.data_dir.

    python -m jmim.main --config=configs/umd_cifar10.py --workdir=runs/umd_c \
      --config.data.data_dir=DIR
    python -m jmim.main --mode=sample --config=configs/umd_cifar10.py \
      --workdir=runs/umd_c --config.data.data_dir=DIR --num=100 --guidance=2
    python -m jmim.tools.claim umd_cifar10 --config.data.data_dir=DIR

Arguments: variant=S/4, epochs=200, batch=256. `configs/umd_cifar10_small.py`
is what two CPU cores can train.

Not yet run here to its end; the card expects the clean-feature probe of MAE to
be the best, then UMD, then DiT, after 30 epochs or more.

Size: 44.2 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, variant="S/4", epochs=200.0, batch=256)
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=arg.batch,
    size=32,
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="diffusion.umd",
    dims=configs.section(variant=arg.variant),
    size=32,
    labels=configs.section(classes=10),
    decoder_depth=4,
    clean_share=0.5,
    clean_mask=0.75,
    noised_mask=0.375,
    sampling=configs.section(guidance=2.0),
  )
  config.optim.update(lr=3e-4, lr_batch=256, b2=0.95, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_epochs=arg.epochs / 20)
  config.ema.decay = 0.9999
  config.train.update(total_epochs=arg.epochs, checkpoint_epochs=10.0)
  config.evals = configs.section(
    errors=configs.section(type="mean", every_epochs=10.0, limit=2048),
    probe=configs.section(
      type="probe", every_epochs=50.0, train_limit=8000, limit=2000
    ),
    samples=configs.section(type="samples", weights="ema", every_epochs=10.0),
  )
  return config
