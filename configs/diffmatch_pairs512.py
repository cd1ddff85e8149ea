"""DiffMatch on synthetic warps at 512 px, both stages as published.

DIR has a TFDS data set `warps512` of the user's: `images` [2, 520, 520, 3]
uint8 (a picture of DPED, CityScapes or ADE and its random homography, affine or
thin-plate warp, the source first), `flow` [520, 520, 2] float32 (x, y) in
pixels, from the target to the source, and `flow_known` [520, 520] 0 or 1; a
split `test` of such. VGG16 is an .npz of torchvision's arrays
`features.<i>.weight` and `.bias` (with LPIPS' `lin<k>.model.1.weight` in it as
well: --config.method.features.net.lin=True):

    python -m jmim.main --config=configs/diffmatch_pairs512.py:vgg=VGG \
      --workdir=C --config.data.data_dir=DIR
    python -m jmim.main --workdir=W --config.data.data_dir=DIR \
      --config=configs/diffmatch_pairs512.py:stage=fine,vgg=VGG,coarse=C

Arguments: stage=coarse (fine), vgg= (that .npz), coarse= (a run of the first
stage), start=fresh (coarse: the second stage has the levels of the first one's
UNet and begins with its weights, as in the paper; the released code's has
others), steps=100000 (none is given by the authors, whose loop does not end),
batch=24 (authors: 18), lr=3e-5 (1e-4 with moving objects of COCO).

Reference (the authors'): best AEPE on HPatches and ETH3D at the time; the table
is not at hand.

Size: 121 M parameters.
Time: not measured.
Expect: not measured here; the authors' table is not at hand.
"""

from jmim.core import choices
from jmim.core import config as configs

SIDE, FLOW = 512, 520
STAGES = ("coarse", "fine")
STARTS = ("fresh", "coarse")


def get_config(arg: str | None = None):
  names = dict(stage="coarse", vgg="", coarse="", start="fresh")
  arg = configs.parse_arg(arg, **names, steps=100_000, batch=24, lr=3e-5)
  choices.check(arg, stage=STAGES, start=STARTS)
  config = configs.base()
  half, pairs = (0.5,) * 3, (("images", 2, SIDE, SIDE),)
  config.data.update(name="warps512", batch=arg.batch, size=SIDE)
  config.data.update(pictures=pairs, flip=False, mean=half, std=half)
  fields = dict(size=SIDE, sides=(FLOW, FLOW))
  fields["features"] = dict(host=dict(path=arg.vgg))
  config.method = configs.section(type="dense.diffmatch", **fields)
  if arg.stage == "fine":
    config.method.update(
      type="dense.diffmatch_fine",
      coarse_host=dict(path=arg.coarse, weights="ema"),
    )
    if arg.start == "coarse":
      levels = dict(multipliers=(1, 2, 3, 4), attend_at=(4, 8))
      config.method.matcher = dict(dims=levels)
      config.init_from.update(path=arg.coarse, weights="ema")
  config.optim.update(lr=arg.lr, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.decay = 0.9999
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  one = lambda predict: configs.section(
    type="flow", predict=predict, every_steps=20_000, limit=512, weights="ema"
  )
  config.evals = configs.section(
    flow=one("flow"), jpeg=one("flow_jpeg_compression")
  )
  config.hardware.dtype = "f32"
  config.hardware.mesh.fsdp = 0  # the chips share the parameters
  return config
