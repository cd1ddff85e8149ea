"""A run of seconds: a tiny MAE on the 8 x 8 digits."""

import contextlib

import numpy as np
import pytest

from jmim.core import config as configs
from jmim.core import tree as trees
from jmim.runlog import events
from jmim.runlog import meter
from jmim.runlog import writer
from jmim.session import restore
from jmim.session import session as sessions
from jmim.session.hooks import save

# Keys of `data`: the 8 x 8 digits as they are.
DIGITS = dict(
  name="digits/plain",
  size=8,
  channels=1,
  flip=False,
  mean=(0.5,),
  std=(0.5,),
)


def recipe(data_dir):
  config = configs.base()
  config.data.update(data_dir=data_dir, batch=32, **DIGITS)
  config.method = configs.section(
    type="mim.mae",
    size=8,
    channels=1,
    dims=configs.section(variant="Ti/2", width=32, depth=2, heads=2),
    decoder_dims=configs.section(width=16, depth=1, heads=2),
  )
  config.train.update(total_steps=8, log_steps=2, checkpoint_steps=4)
  config.ema.decay = 0.9
  config.hardware.compile_cache = ""
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=4),
    probe=configs.section(type="probe", train_limit=200, limit=100),
    ema_probe=configs.section(
      type="probe", weights="ema", train_limit=200, limit=100, reference=False
    ),
    knn=configs.section(type="knn", k=(5, 20), train_limit=200, limit=100),
    recon=configs.section(type="recon"),
  )
  return config


def toy(data_dir):
  """Two players that compile in no time; a loss on held-out images."""
  config = recipe(data_dir)
  config.method = configs.section(type="toys", size=8, channels=1)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=4)
  )
  config.train.log_steps = 1
  return config


def small(recipe, keep=(), **changes):
  """Without evaluators but those kept, and with keys of `train` changed."""
  gone = [f"evals.{n}=None" for n in recipe.evals if n not in keep]
  config = configs.override(recipe, gone)
  config.train.update(**changes)
  return config


@contextlib.contextmanager
def killed(step):
  """What trains in the body is interrupted where it would begin this step."""
  begin = save.Save.begin

  def stop_early(self, now):
    if now == step:
      raise KeyboardInterrupt
    begin(self, now)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(save.Save, "begin", stop_early)
    with pytest.raises(KeyboardInterrupt):
      yield


def lines(workdir):
  """What metrics.jsonl holds, without what the clock says."""
  return [
    {k: v for k, v in line.items() if not meter.is_time(k)}
    for line in writer.read(workdir)
  ]


def board(workdir):
  """What TensorBoard is shown: (step, tag, number), doubles kept."""
  found = [
    (e.step, v.tag, v.simple_value)
    for e in events.read(workdir / "tensorboard")
    for v in e.summary.value
  ]
  return sorted(x for x in found if not meter.is_time(x[1]))


def final_state(workdir, config):
  """Leaf name -> array of the newest checkpoint."""
  with sessions.open(config, workdir, write=False) as session:
    state = restore.only_weights(session).point.state
    return {k: np.asarray(v) for k, v in trees.named(state).items()}
