"""CropMAE on CIFAR-10 enlarged to 48 pixels: the small runs of the card.

    python -m jmim.main --config=configs/cropmae_cifar10.py \
      --config.data.data_dir=DIR --workdir=runs/cropmae
    ... --config=configs/cropmae_cifar10.py:strategy=LocalToGlobal

Arguments: strategy=GlobalToLocal (LocalToGlobal, SameViews), steps=1200.
144 patches, 2 of them visible.

Size: 0.595 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, strategy="GlobalToLocal", steps=1200)
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=64,
    size=48,
    views=2,
    nested=True,
    crop_scale=(0.5, 1.0),
    view_scale=(0.3, 0.6),
    kernel="bilinear",
    flip=True,
    eval_crop="center",
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
  )
  config.method = configs.section(
    type="mim.cropmae",
    dims=dict(variant="Ti/4", width=96, depth=4, heads=4),
    size=48,
    decoder_dims=dict(width=64, depth=2, heads=4),
    decoder_mlp=256,
    dropout=0.0,
    mask_ratio=0.985,
    strategy=arg.strategy,
  )
  config.optim.update(name="adamw", lr=1e-3, b2=0.95, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_steps=60)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=400, limit=1024),
    # The card's protocol of label propagation, on clips of moving shapes.
    propagation=configs.section(
      type="propagation", last=20, radius=20, k=7, temperature=0.7
    ),
  )
  return config
