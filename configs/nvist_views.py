"""NViST on small scenes: spheres and boxes on a textured disc.

Data: `views/solids`, made on first use: six frames of 24 x 32 px of each of 400
scenes, and of 40 others to test on. The encoder is that of a masked autoencoder
of the frames, stage A (`configs/mae_views.py`):

    python -m jmim.main --config=configs/mae_views.py --workdir=A
    python -m jmim.main --config=configs/nvist_views.py:frames=A --workdir=B

Arguments: frames= (a run of stage A; none: a fresh encoder), steps=1500,
told=True (False: the decoder sees the class token alone). `psnr` is that of
five views of a scene, rendered from its middle frame.

Size: 1.54 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, frames="", steps=1500, told=True)
  config = configs.base()
  sides = dict(height=24, size=32)
  config.data.update(name="views/solids", batch=4, flip=False, **sides)
  config.data.update(group="scene", members=4)
  config.data.update(mean=(0.0,) * 3, std=(1.0,) * 3)
  config.method = configs.section(
    type="scene.nvist",
    members=4,
    dims=configs.section(variant="Ti/4", width=96, depth=4, heads=3),
    decoder_dims=configs.section(depth=6),
    planes=configs.section(resolution=24, density=4, colours=12, told=arg.told),
    radiance=configs.section(
      near=0.6, far=2.2, samples=24, width=32, chunk=2048
    ),
    rays=configs.section(budget=768, whole=False),
    encoder_lr=0.5,
    **sides,
  )
  if arg.frames:
    config.init_from.update(
      path=arg.frames,
      skip=(r"^main/decoder/", r"^main/encoder/norm/"),
      reinit=(r"^main/(decoder|colours)/", r"^main/encoder/pos_embed$"),
    )
  config.optim.update(lr=1e-3, b2=0.99, weight_decay=0.01, clip_norm=1.0)
  config.schedule.update(warmup_steps=100, min_lr=1e-5)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals.views = configs.section(
    type="views", views=6, mean_of=400, shuffled=True, every_steps=500
  )
  return config
