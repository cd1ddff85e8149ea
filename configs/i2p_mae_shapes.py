"""I2P-MAE on procedural clouds: the small run of the method's card.

Data: `shapes/solids`, built on first use: 256 points on eight surfaces.

    python -m jmim.main --config=configs/i2p_mae_shapes.py --workdir=runs/i2p \
      --config.method.guide.teacher.path=runs/seen
    ... --config=configs/i2p_mae_shapes.py:weight_2d=0     3-D loss only
    ... --config=configs/i2p_mae_shapes.py:teacher=none    Point-M2AE

Arguments: teacher=dino (none), weight_2d=1.0, steps=300. The teacher is the
workdir of rendered_shapes. The probe is a linear SVM with C = 0.01 on features
as they are, beside the same of the untrained encoder.

Size: 0.49 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, teacher="dino", weight_2d=1.0, steps=300)
  choices.check(arg, teacher=("dino", "none"))
  config = configs.base()
  config.data.update(
    name="shapes/solids",
    batch=32,
    points_scale=(2 / 3, 3 / 2),
    points_shift=0.2,
  )
  config.method = configs.section(
    type="point.i2p_mae",
    points=256,
    network=dict(
      encoder=dict(
        groups=(64, 32, 16),
        members=(8, 8, 8),
        widths=(24, 48, 96),
        depths=(1, 1, 1),
        embed=32,
      )
    ),
    guide=dict(
      views=dict(size=56),
      teacher=dict(
        family=arg.teacher,
        dims=dict(variant="Ti/8", width=96, depth=3, heads=3),
        norm=True,
        project=0,
      ),
      mask_ratio=0.8,
      visible="random" if arg.teacher == "none" else "saliency",
    ),
    weight_2d=arg.weight_2d,
    drop_path=0.0,
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_steps=30)
  config.train.update(total_steps=arg.steps, checkpoint_steps=300, log_steps=25)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=150),
    probe=configs.section(
      type="probe", head="svm", penalty=100.0, standardise=False
    ),
  )
  if arg.teacher != "none":
    config.evals.saliency = configs.section(type="mean", predict="saliency")
  return config
