"""CAE on CIFAR-10 with 256 k-means codes of 4x4 patches as tokens.

    python -m jmim.main --config=configs/cae_cifar10.py --workdir=runs/cae \
      --config.method.tokenizer.codebook=runs/codes --config.data.data_dir=DIR

Arguments: align=2.0, steps=1500. `runs/codes`: a run of codebook_cifar10, or an
.npz of `codes` [256, 48], centroids of normalised patches.

Size: 0.815 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, align=2.0, steps=1500)
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
    type="mim.cae",
    dims=dict(variant="Ti/4", width=96, depth=4, heads=4),
    size=32,
    regressor=dict(depth=2, decoder_depth=1),
    tokenizer=dict(vocabulary=256, source="codebook", codebook=""),
    masked=32,
    align=arg.align,
    drop_path=0.0,
  )
  config.optim.update(
    name="adamw", lr=1.5e-3, b2=0.999, weight_decay=0.05, clip_norm=3.0
  )
  config.schedule.update(name="cosine", warmup_steps=100, min_lr=1e-5)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  # Both probes of the card see all images; twenty epochs of the attentive one
  # would take longer than the training.
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500, limit=2048),
    probe=configs.section(type="probe", train_limit=8000, limit=2000),
    cls=configs.section(type="probe", predict="cls", reference=False),
    attentive=configs.section(
      type="attentive", epochs=5.0, warmup_epochs=0.5, lrs=(3e-3, 1e-3)
    ),
  )
  return config
