"""Video-VAE on clips of one moving shape: 5 frames of 32 pixels.

    python -m jmim.main --config=configs/autoencoder3d_shapes.py --workdir=W

Without dual paths first, then with them, thawing layer by layer, each run from
the one before it:

    ... --config=configs/autoencoder3d_shapes.py:variant=deep-f2x2 --workdir=A
    ... :source=A,trains=dual --workdir=B
    ... :source=B,trains=middle --workdir=C
    ... :source=C --workdir=D

Arguments: variant=deep-f4x4 (deep-f2x2, adaptive-f2x4), trains=all (dual,
middle), source= (the run before), size=32 (16), steps=1500, disc_start=1000,
perceptual= (a run of convnet_digits).

Latents: 2 x 8 x 8 of 8 channels (deep-f2x2: 3 x 16 x 16; adaptive-f2x4: 3 x 8
x 8).

Size: 2.50 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

# Layers that the dual paths add, and those that have another width with them.
FRESH = (r"conv_(un)?patchify/", r"encoder/conv_out/", r"decoder/conv_in/")


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    variant="deep-f4x4",
    trains="all",
    source="",
    size=32,
    steps=1500,
    disc_start=1000,
    perceptual="",
  )
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="shapes/directions",
    batch=16,
    size=arg.size,
    frames=5,
    stride=1,
    flip=False,
    mean=half,
    std=half,
  )
  if arg.size != 32:
    crop = dict(host_crop="center", eval_crop="squash", eval_resize=arg.size)
    config.data.update(**crop)
  config.method = configs.section(
    type="video.autoencoder3d",
    dims=configs.section(variant=arg.variant),
    size=arg.size,
    frames=5,
    trains=arg.trains,
    losses=configs.section(
      disc_start=arg.disc_start,
      disc_layers=2,
      disc_width=16,
      disc_weight=0.1,
      perceptual="small" if arg.perceptual else "none",
      perceptual_path=arg.perceptual,
      perceptual_width=16,
    ),
  )
  if arg.source:
    config.init_from.path = arg.source
    config.init_from.reinit = FRESH if arg.trains == "dual" else ()
  config.optim.update(lr=5e-4, b1=0.5, b2=0.9, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=20)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=512),
    restoration=configs.section(type="restoration", limit=128),
  )
  return config
