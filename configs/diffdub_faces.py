"""DiffDub's renderer on faces of 32 px that speak, an eighth of its width.

    python -m jmim.main --config=configs/diffdub_faces.py --workdir=R
    python -m jmim.main --mode=apply \
      --config=configs/dubbing_faces.py:renderer=R --workdir=R/codes \
      --config.apply.store=face_codes
    python -m jmim.main --config=configs/diffdub_speech_faces.py --workdir=S
    python -m jmim.main --mode=apply --workdir=W \
      --config=configs/dubbing_faces.py:renderer=R,speech=S

Arguments: face=boxes (landmarks: holes and crops follow the head; none:
Diff-AE, the first stage), augment=True, steps=2000, start= (a run of face=none
to begin with: its first convolution is read for both pictures).

Size: 0.923 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

NETWORK = dict(
  width=16,
  multipliers=(1, 2, 4),
  blocks=1,
  attend_at=(4,),
  norm_groups=8,
)
# The first convolution is read for both pictures, halved.
WIDER = ("/net/conv_in/", "/net/conv_in/")


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, face="boxes", augment=True, steps=2000, start="")
  alone = arg.face == "none"
  config = configs.base()
  half = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
  config.data.update(name="faces/frames", batch=32, size=32, flip=False, **half)
  if not alone:
    config.data.update(group="clip", members=2)
  config.method = configs.section(
    type="edit.diffdub",
    size=32,
    references=0 if alone else 1,
    width=32,
    dims=NETWORK,
    encoder=NETWORK,
    face=dict(kind=arg.face, chin=1.0, grow=1),
    sampling=dict(steps=20),
  )
  if not arg.augment or alone:
    config.method.augment = dict(flip=0.0, colour=0.0, blur=0.0, move=0.0)
  if arg.start:
    config.init_from.update(path=arg.start, copies=(WIDER,))
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    errors=configs.section(type="mean", weights="ema", limit=1024),
    control=configs.section(
      type="dubbing", predict="swapped", weights="ema", limit=512
    ),
    # Where all is hole there is nothing beside it to compare with.
    made=configs.section(
      type="restoration" if alone else "recon",
      predict="reconstruct",
      weights="ema",
    ),
  )
  return config
