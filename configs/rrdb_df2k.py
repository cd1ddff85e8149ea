"""RRDB on DF2K at SRDiff's size: crops of 160 px, four times.

    python -m jmim.main --config=configs/rrdb_df2k.py --workdir=R \
      --config.data.data_dir=DATA_DIR

The data are those of sam_diffsr_df2k, which reads the run.

Arguments: steps=400000, batch=64. The card does not say how long RRDB is
trained: it has the steps of the diffusion here.

Size: 12.4 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

TILE, SIDE = 480, 160


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=400_000, batch=64)
  config = configs.base()
  area = (SIDE / TILE) ** 2
  config.data.update(
    name="df2k_structure",
    batch=arg.batch,
    size=SIDE,
    host_crop="resized",  # of this area and shape: a crop, nothing is resized
    crop_scale=(area, area),
    crop_ratio=(1.0, 1.0),
    eval_crop="center",
    eval_resize=TILE,
    flip=False,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
  )
  config.method = configs.section(type="restore.rrdb", size=SIDE)
  config.optim.update(lr=2e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(
    name="step", drop_steps=200_000, drop_factor=0.5, warmup_steps=0
  )
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    restoration=configs.section(
      type="restoration", every_steps=50_000, limit=512, crop=4
    )
  )
  return config
