"""Step-Video on clips of one moving shape: 5 frames of 16 pixels.

    python -m jmim.main --config=configs/step_video_shapes.py --workdir=W
    python -m jmim.main --mode=sample --config=configs/step_video_shapes.py \
      --workdir=W --num=64 --weights=ema

It is told one of eight directions, as learned vectors in the places of a
text's. Latents instead of pixels, of a run of autoencoder3d_shapes at 32 pixels
(V), two frames of 8 x 8:

    ... --config=configs/step_video_shapes.py:size=32,first_stage=V

Arguments: attention=full (factorised: space and time in turn), size=16 (32),
frames=5 (of what is diffused: 2 with a first stage), patch=0 (size / 8),
first_stage= (a run), steps=600. `errors/flow` is the error of the velocity of
held-out clips.

Size: 0.717 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    attention="full",
    size=16,
    frames=0,
    patch=0,
    first_stage="",
    steps=600,
  )
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  coded = bool(arg.first_stage)
  frames = arg.frames or (2 if coded else 5)
  config.data.update(
    name="shapes/directions",
    batch=16,
    size=arg.size,
    frames=5 if coded else frames,
    stride=1,
    flip=False,
    mean=half,
    std=half,
  )
  if arg.size != 32:
    crop = dict(host_crop="center", eval_crop="squash", eval_resize=arg.size)
    config.data.update(**crop)
  side = arg.size // 4 if coded else arg.size
  stage = dict(variant="deep-f4x4", path=arg.first_stage, read="images")
  config.method = configs.section(
    type="video.step_video",
    attention=arg.attention,
    frames=frames,
    height=side,
    width=side,
    channels=8 if coded else 3,
    dims=configs.section(variant=f"Ti/{arg.patch or max(1, side // 8)}"),
    told=configs.section(
      kind="label", classes=8, length=2, width=96, clip_length=1, clip_width=96
    ),
    first_stage=configs.section(**stage if coded else {}),
    noise=configs.section(shift=1 / 3),
    sampling=configs.section(steps=30, guidance=2.0, clip=0.0),
  )
  config.optim.update(lr=1e-3, b2=0.99, weight_decay=0.01)
  config.schedule.update(name="constant", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=300)
  config.evals = configs.section(
    errors=configs.section(
      type="mean", weights="ema", limit=512, repeats=2, every_steps=300
    ),
    samples=configs.section(type="samples", weights="ema", every_steps=300),
  )
  return config
