"""DiTi of published size: CelebA at 64 px, FFHQ and LSUN Bedroom at 128.

    python -m jmim.convert --from=pdae_host --weights=FILE --out=HOST \
      --config=configs/diti_images.py:data=ffhq,stage=host
    python -m jmim.main --config=configs/diti_images.py:data=ffhq --workdir=W \
      --config.data.data_dir=IMAGES --config.method.host.path=HOST

FILE is PDAE's frozen DDPM; or train one, stage=host. CelebA is `celeb_a` of
TFDS, the others are folders of images.

Arguments: data=celeba (ffhq, bedroom), stage=diti (host), blocks=64 (1: PDAE),
mode= (base, stop_grad, dual; empty: the published one, stop_grad of Bedroom,
else base), batch=256.

The UNets are from memory: their configs are not in the authors' repository.
Of an image of CelebA the 128 x 128 pixels at (57, 25) are read, as theirs.

Reference (from memory; linear probes on CelebA, 38 M images): AP .623, LFW r
.617. Not repeated here.

Size: 53.5 M parameters.
Time: not measured.
Expect: AP .623 of linear probes on CelebA (from memory, not repeated).
"""

from jmim.core import choices
from jmim.core import config as configs

LARGE = dict(size=128, width=128, multipliers=(1, 1, 2, 3, 4), attend=3)
LARGE["widths"] = (64, 128, 256, 256, 256)
SMALL = dict(size=64, width=64, multipliers=(1, 2, 4, 8), attend=2)
SMALL["widths"] = (64, 128, 128, 128)
DATA = {  # its networks, images of training, mode
  "celeba": (SMALL, 38_000_000, "base"),
  "ffhq": (LARGE, 64_000_000, "base"),
  "bedroom": (LARGE, 70_000_000, "stop_grad"),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, data="celeba", stage="diti", blocks=64, mode="", batch=256
  )
  choices.check(arg, data=DATA, stage=("diti", "host"))
  nets, images, mode = DATA[arg.data]
  config = configs.base()
  config.data.update(
    name="celeb_a" if arg.data == "celeba" else "folder",
    batch=arg.batch,
    size=nets["size"],
    flip=True,
    box=(57, 25, 128, 128) if arg.data == "celeba" else (),
    host_crop="center",
    eval_crop="center",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  dims = dict(width=nets["width"], multipliers=nets["multipliers"], heads=0)
  dims |= dict(attend_at=(nets["size"] // 16,), head_width=64, dropout=0.0)
  config.method = configs.section(
    type="diffusion.ddpm" if arg.stage == "host" else "diffusion.diti",
    size=nets["size"],
    dims=dims | dict(scale_shift=True, updown=True),
  )
  if arg.stage == "diti":
    encoder = {name: nets[name] for name in ("widths", "attend")}
    config.method.update(
      host=dict(weights="ema"),
      encoder=encoder,
      blocks=dict(blocks=arg.blocks),
      mode=arg.mode or mode,
    )
  config.optim.update(lr=2e-4, lr_batch=128, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.decay = 0.9999
  config.train.update(
    total_images=images, checkpoint_steps=10_000, log_steps=100
  )
  every = dict(every_steps=10_000, weights="ema")
  config.evals.errors = dict(type="mean", limit=2048, **every)
  if arg.data == "celeba" and arg.stage == "diti":
    told = dict(type="attributes", binary=("attributes",))
    config.evals.attributes = told | every
  return config
