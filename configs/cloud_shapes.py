"""Fine-tuning of I2P-MAE's encoder on procedural clouds, with labels.

Data: `shapes/solids`, built on first use: 256 points on eight surfaces.

    python -m jmim.main --config=configs/cloud_shapes.py --workdir=runs/cloud \
      --config.init_from.path=runs/i2p
    ... --config=configs/cloud_shapes.py:pool=concat       as for ScanObjectNN

Arguments: pool=sum, steps=300. Without init_from.path it trains from scratch.
Published networks have other groups, members (48, 24, 24 on ModelNet40, 32, 16,
16 on ScanObjectNN), widths and radii; lr 5e-4, batch 32, clip 10, 300 epochs.
ScanObjectNN: smoothing 0, scale 0.9 to 1.1, no shift, rotations.

Size: 0.306 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, pool="sum", steps=300)
  config = configs.base()
  config.data.update(
    name="shapes/solids",
    batch=32,
    points_scale=(2 / 3, 3 / 2),
    points_shift=0.2,
  )
  config.method = configs.section(
    type="supervised.cloud",
    points=256,
    classes=8,
    encoder=dict(
      groups=(64, 32, 16),
      members=(8, 8, 8),
      widths=(24, 48, 96),
      depths=(1, 1, 1),
      embed=32,
    ),
    radii=(0.48, 0.96, 1.92),
    pool=arg.pool,
  )
  fresh = (r"^main/head/",)
  config.init_from.update(skip=(r"^main/(decoder|head_[23]d)/",), reinit=fresh)
  config.optim.update(lr=5e-4, b2=0.999, weight_decay=0.05, clip_norm=10.0)
  config.schedule.update(name="cosine", warmup_steps=30, min_lr=1e-6)
  config.train.update(total_steps=arg.steps, checkpoint_steps=300, log_steps=25)
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_steps=150)
  )
  return config
