"""DiffDub's renderer at 256 px on HDTF, from Diff-AE.

Examples are frames: `image` (256 px, 25 a second), the `clip` that they are of,
and `landmarks` [68, 2], (x, y) in pixels, in dlib's order. START is Diff-AE's
FFHQ-256, as

    python -m jmim.convert --from=diffae --weights=FILE --out=START \
      --config=configs/diffdub_hdtf.py:stage=diffae

makes it of the authors' checkpoint, or a run of that recipe on faces.

    python -m jmim.main --config=configs/diffdub_hdtf.py:start=START --workdir=W

Arguments: stage=renderer (diffae: whole pictures, no references), start=,
data=hdtf_frames (of diffae: ffhq256), steps=300000, batch=32.

Reference: better quality and lips than Wav2Lip, PC-AVS, LP-LAP and DAE-Talker
(the paper's claim; its numbers were not checked). The number of steps is not
verified.

Size: 168 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

STILL = dict(flip=0.0, colour=0.0, blur=0.0, move=0.0)
# The first convolution is read for both pictures, halved.
WIDER = ("/net/conv_in/", "/net/conv_in/")


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, stage="renderer", start="", data="", steps=300_000, batch=32
  )
  choices.check(arg, stage=("renderer", "diffae"))
  alone = arg.stage == "diffae"
  config = configs.base()
  half = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
  name = arg.data or ("ffhq256" if alone else "hdtf_frames")
  config.data.update(name=name, batch=arg.batch, size=256, flip=alone, **half)
  config.method = configs.section(type="edit.diffdub")
  if alone:
    config.method.update(references=0, face=dict(kind="none"), augment=STILL)
  else:
    config.data.update(group="clip", members=2)
  if arg.start:
    config.init_from.update(path=arg.start, copies=(WIDER,))
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.decay = 0.9999
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  config.evals = configs.section(
    errors=configs.section(
      type="mean", weights="ema", limit=4096, every_steps=10_000
    ),
    # Where all is hole there is nothing beside it to compare with.
    made=configs.section(
      type="restoration" if alone else "recon",
      predict="reconstruct",
      weights="ema",
      every_steps=50_000,
    ),
  )
  return config
