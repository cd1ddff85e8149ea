"""Seconds of training, with all that a kill can hit; for `crash_test`."""

from jmim.core import config as configs


def get_config(arg=None):
  arg = configs.parse_arg(arg, steps=60)
  config = configs.base()
  config.data.update(
    name="digits/plain",
    batch=32,
    size=8,
    channels=1,
    flip=False,
    mean=(0.5,),
    std=(0.5,),
  )
  config.method = configs.section(
    type="mim.mae",
    variant="Ti/2",
    size=8,
    channels=1,
    width=32,
    depth=2,
    heads=2,
    decoder_width=16,
    decoder_depth=1,
    decoder_heads=2,
  )
  config.train.update(total_steps=arg.steps, log_steps=4, checkpoint_steps=6)
  config.ema.decay = 0.9
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=12),
    recon=configs.section(type="recon", every_steps=30),
  )
  return config
