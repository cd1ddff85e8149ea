"""DifFace on faces of 16 px: a small diffusion model restores estimates.

    python -m jmim.main --config=configs/restorer_faces.py --workdir=R
    python -m jmim.main --config=configs/difface_faces.py:restorer=R --workdir=W
    python -m jmim.main --mode=eval --workdir=W \
      --config.method.contraction.start=10

T is 200, of which 50 are visited; n = 20 of these is 0.4 of the noise's way.
`estimate` is the restorer's own result. With holes=1 a box is missing; the
restorer must have been trained with --config.method.holes.boxes=1.

Arguments: restorer= (its run; empty: no images are restored),
degradation=face_small (face_light, face_middle, face_heavy), holes=0, start=20,
steps=1500, encoder= (run of a classifier, for a Frechet distance:
configs/convnet_digits.py:data=faces/small with --config.data.size=16
--config.method.size=16 --config.method.classes=12).

Size: 1.19 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

UNET = dict(
  width=32,
  multipliers=(1, 2, 2),
  blocks=1,
  level_blocks=(),
  attend_at=(4,),
  head_width=16,
  norm_groups=8,
)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    restorer="",
    degradation="face_small",
    holes=0,
    start=20,
    steps=1500,
    encoder="",
  )
  config = configs.base()
  half = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
  config.data.update(name="faces/small", batch=64, size=16, flip=False, **half)
  config.method = configs.section(
    type="restore.difface",
    size=16,
    dims=UNET,
    noise=dict(times=200, beta_start=5e-4, beta_end=0.1),
    sampling=dict(steps=50),
    contraction=dict(start=arg.start),
    # Its network is the one that restorer_faces trains if nothing is said.
    restorer=dict(
      net=dict(type="conv", layers=8, width=32), host=dict(path=arg.restorer)
    ),
    degraded=dict(degradation=arg.degradation),
    holes=dict(boxes=arg.holes),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    errors=configs.section(type="mean", weights="ema", limit=1024),
    samples=configs.section(type="samples", weights="ema"),
  )
  shown = ("restore", "estimate") if arg.restorer else ()
  for name in shown:
    config.evals[name] = configs.section(
      type="restoration", predict=name, weights="ema", limit=512
    )
    if arg.encoder:
      config.evals[f"fid_{name}"] = configs.section(
        type="fid", predict=f"{name}/image", reference="eval", weights="ema"
      )
      config.evals[f"fid_{name}"].update(
        encoder=arg.encoder, samples=512, allow_few=True
      )
  return config
