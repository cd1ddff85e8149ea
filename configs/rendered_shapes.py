"""A small ViT on depth images of procedural clouds: a teacher for I2P-MAE.

Data: `shapes/solids`, built on first use: 256 points on eight surfaces.

    python -m jmim.main --config=configs/rendered_shapes.py --workdir=runs/seen

Arguments: steps=600. Its workdir is `method.guide.teacher.path` of
i2p_mae_shapes, a teacher of the family "dino".

Size: 0.36 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=600)
  config = configs.base()
  config.data.update(
    name="shapes/solids",
    batch=64,
    points_scale=(2 / 3, 3 / 2),
    points_shift=0.2,
    points_turn="z",
  )
  config.method = configs.section(
    type="supervised.rendered",
    points=256,
    size=56,
    classes=8,
    dims=dict(variant="Ti/8", width=96, depth=3, heads=3),
    drop_path=0.0,
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_steps=50)
  config.train.update(total_steps=arg.steps, checkpoint_steps=300, log_steps=50)
  config.evals = configs.section(accuracy=configs.section(type="accuracy"))
  return config
