"""ColorMAE on CIFAR-10: the small runs of the method's card.

    python -m jmim.main --config=configs/colormae_cifar10.py:colour=red \
      --config.data.data_dir=DIR --workdir=runs/colormae

Arguments: colour=green (white, red, blue, purple), patch=2, steps=1500. The
dense probe segments `shapes/small`, made on first use in ~/.cache/jmim.

Size: 0.483 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, colour="green", patch=2, steps=1500)
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=128,
    size=32,
    device_crop="pad",
    pad=4,
    flip=True,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
  )
  config.method = configs.section(
    type="mim.colormae",
    dims=dict(variant=f"Ti/{arg.patch}", width=96, depth=4, heads=4),
    size=32,
    decoder_dims=dict(width=48, depth=1, heads=4),
    mask_ratio=0.75,
    norm_pix=True,
    colours=(arg.colour,),
    start_steps=(0,),
    pattern_size=64,
  )
  config.optim.update(name="adamw", lr=1.5e-3, b2=0.95, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_steps=150)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500, limit=2048),
    knn=configs.section(type="knn", train_limit=8000, limit=2000),
    dense=configs.section(type="dense", data="shapes/small"),
    recon=configs.section(type="recon", batches=4),
  )
  return config
