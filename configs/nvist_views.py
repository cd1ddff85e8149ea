"""NViST on small scenes: spheres and boxes on a textured disc.

Data: `views/solids`, made on first use: six frames of 24 x 32 px of each of 400
scenes, and of 40 others to test on. Stage A is a masked autoencoder of the
frames, stage B begins with its encoder:

    python -m jmim.main --config=configs/nvist_views.py:stage=a --workdir=A
    python -m jmim.main --config=configs/nvist_views.py:frames=A --workdir=B

Arguments: stage=b, frames= (a run of stage A; none: a fresh encoder), steps=0
(1500, stage A: 1000), told=1 (0: the decoder sees the class token alone).
`psnr` is that of five views of a scene, rendered from its middle frame.

Size: 1.31 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs
from jmim.core import errors

STEPS = {"a": 1000, "b": 1500}
ENCODER = dict(variant="Ti/4", width=96, depth=4, heads=3)
SIDES = dict(height=24, size=32)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, stage="b", frames="", steps=0, told=1)
  if arg.stage not in STEPS:
    raise errors.UserError(
      f"stage={arg.stage}", "a or b", "name one of them", "--config"
    )
  config = configs.base()
  config.data.update(name="views/solids", flip=False, **SIDES)
  config.train.update(
    total_steps=arg.steps or STEPS[arg.stage],
    checkpoint_steps=500,
    log_steps=50,
  )
  {"a": frames, "b": scenes}[arg.stage](config, arg)
  return config


def frames(config, arg) -> None:
  """Stage A: MAE, pixels as they are."""
  del arg
  config.data.batch = 64
  config.method = configs.section(
    type="mim.mae",
    dims=configs.section(**ENCODER),
    decoder_dims=configs.section(width=64, depth=2, heads=2),
    norm_pix=False,
    **SIDES,
  )
  config.optim.update(lr=1e-3, weight_decay=0.05)
  config.schedule.warmup_steps = 100
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    recon=configs.section(type="recon", batches=1),
  )


def scenes(config, arg) -> None:
  """Stage B: planes and lines, rendered."""
  config.data.update(batch=8, group="scene", members=4)
  config.data.update(mean=(0.0,) * 3, std=(1.0,) * 3)
  config.method = configs.section(
    type="scene.nvist",
    members=4,
    dims=configs.section(**ENCODER),
    decoder_dims=configs.section(depth=6),
    planes=configs.section(
      resolution=24, density=4, colours=12, told=bool(arg.told)
    ),
    radiance=configs.section(
      near=0.6, far=2.2, samples=24, width=32, chunk=2048
    ),
    rays=configs.section(budget=512, whole=False),
    encoder_lr=0.5,
    **SIDES,
  )
  if arg.frames:
    config.init_from.update(
      path=arg.frames,
      skip=(r"^main/decoder/", r"^main/encoder/norm/"),
      reinit=(r"^main/(decoder|colours)/", r"^main/encoder/pos_embed$"),
    )
  config.optim.update(lr=1e-3, b2=0.99, weight_decay=0.01, clip_norm=1.0)
  config.schedule.update(warmup_steps=100, min_lr=1e-5)
  config.evals = configs.section(
    views=configs.section(
      type="views", views=6, mean_of=400, shuffled=True, every_steps=500
    ),
  )
