"""FastDiT-3D on clouds of 256 points: eight kinds of surfaces, by class.

    python -m jmim.main --config=configs/fastdit3d_shapes.py --workdir=runs/f3d
    python -m jmim.main --mode=sample --config=configs/fastdit3d_shapes.py \
      --workdir=runs/f3d --num=16

16 voxels of a side and patches of 2 are 512 tokens, of which the encoder sees
12: at most 8 occupied and 4 empty ones.

Arguments: steps=2000, mask=aware (random: 12 tokens, whatever they are; none:
all 512), masked=True (False: DiT-3D, without decoder and experts).

Size: 0.646 M parameters.
Time: not measured.
Expect: not measured.
"""

from jmim.core import choices
from jmim.core import config as configs

MASKS = {
  "aware": dict(occupied_budget=8, empty_budget=4),
  "random": dict(aware=False, occupied_budget=8, empty_budget=4),
  "none": dict(occupied_share=0.0, empty_share=0.0),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=2000, mask="aware", masked=True)
  choices.check(arg, mask=MASKS)
  config = configs.base()
  config.data.update(
    name="shapes/solids",
    batch=16,
    flip=False,
    points_std=(0.415, 0.415, 0.415),
  )
  config.method = configs.section(
    type="point.fastdit3d",
    points=256,
    masked=arg.masked,
    network=configs.section(
      size=16,
      dims=configs.section(variant="S/2", width=48, depth=4, heads=4),
      decoder=configs.section(width=48, depth=2, heads=4),
      decoder_windows=(0,),
    ),
    masks=configs.section(**MASKS[arg.mask]),
    labels=configs.section(classes=8),
    sampling=configs.section(steps=50),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    errors=configs.section(type="mean"),
    clouds=configs.section(type="clouds", weights="ema", clouds=64),
    samples=configs.section(
      type="samples", weights="ema", examples=16, columns=4
    ),
  )
  return config
