"""DiffIR for super-resolution by 4 (DF2K) at the published size.

A folder of crops of 480 pixels (DIV2K and Flickr2K), reduced on the device.

    C=configs/diffir_df2k.py
    python -m jmim.main --config=$C:stage=prior --workdir=W1 \
      --config.data.data_dir=DIR
    python -m jmim.main --config=$C:first=W1,gan=True,vgg=VGG --workdir=W2 \
      --config.data.data_dir=DIR

Arguments: stage=joint (prior: the first stage), first= (a run of prior),
gan=False (True, of joint: with a critic and the features of a VGG19), vgg=
(.npz of its arrays by torchvision's names), batch=64, steps=0 (0: 400000; of
prior 1000000). The authors train condition and denoiser with the restorer from
the first step on.

Reference: the paper's tables were not looked up. The layout of the critic and
the weights of the features are from memory of Real-ESRGAN.

Size: 25 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.core import errors

FRESH = ("^main/condition/", "^main/denoiser/", "^discriminator/")


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, stage="joint", first="", gan=False, vgg="", batch=64, steps=0
  )
  choices.check(arg, stage=("prior", "joint"))
  if arg.gan and arg.stage == "prior":
    seen, known = f"stage={arg.stage}, gan={arg.gan}", "joint, or prior alone"
    raise errors.UserError(seen, known, "correct it", "--config")
  prior = arg.stage == "prior"
  config = configs.base()
  config.data.update(
    name="folder",
    batch=arg.batch,
    size=256,
    turn=True,
    host_crop="resized",  # about as many pixels, of crops of 480
    crop_scale=((256 / 480) ** 2,) * 2,
    crop_ratio=(1.0, 1.0),
    eval_crop="center",
    eval_resize=480,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
  )
  config.method = configs.section(
    type="restore.diffir_prior" if prior else "restore.diffir",
    size=256,
    dims=dict(
      width=64, blocks=(13, 1, 1, 1), refinement=13, ratio=2.2, norm="bias_free"
    ),
    prior=dict(blocks=9),
    degraded=dict(degradation="bicubic", factor=4),
  )
  steps = arg.steps or (1_000_000 if prior else 400_000)
  drops = dict(drop_steps=steps // 2)
  if prior:
    drops["drop_again"] = (1.4,)
  else:
    config.method.first = configs.section(path=arg.first)
    config.init_from.update(
      path=arg.first, weights="ema", skip=("^main/encoder/",), reinit=FRESH
    )
  if arg.gan:
    config.method.critic = configs.section(
      weight=1.0, perceptual=1.0, path=arg.vgg
    )
    config.optim.players.discriminator = configs.section(lr=1e-4)
  config.optim.update(lr=2e-4, b2=0.99, weight_decay=0.0)
  config.schedule.update(name="step", warmup_steps=0, drop_factor=0.5, **drops)
  config.ema.decay = 0.999
  config.train.update(total_steps=steps, checkpoint_steps=5000, log_steps=100)
  seen = configs.section(type="restoration", weights="ema", crop=4)
  config.evals = configs.section(restoration=seen)
  return config
