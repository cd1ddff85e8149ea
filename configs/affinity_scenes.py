"""AffinityNet on the seeds that DiffuMask's maps give, of generated scenes.

    python -m jmim.main --config=configs/affinity_scenes.py --workdir=W

after diffumask_scenes, whose data set `word_maps` it reads.
Arguments: folder= (data_dir of that set), steps=600.

Not yet measured here.

Size: 0.136 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, folder="", steps=600)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="word_maps",
    data_dir=arg.folder,
    batch=16,
    size=32,
    mean=half,
    std=half,
    jitter=(0.3, 0.3, 0.3, 0.1),
  )
  config.method = configs.section(
    type="dense.affinity",
    size=32,
    stride=2,
    widths=(16, 32, 32),
    net=dict(dims=dict(width=16, multipliers=(1, 2, 4))),
    head_lr=1.0,
  )
  config.optim.update(lr=1e-3, b2=0.99, weight_decay=5e-4)
  config.schedule.update(name="linear", warmup_steps=50)
  config.train.update(total_steps=arg.steps, checkpoint_steps=300, log_steps=50)
  config.evals.loss = configs.section(type="loss")
  return config
