"""AdaSpa on the small Step-Video: attention to a fifth of its blocks.

    python -m jmim.main --config=configs/step_video_shapes.py --workdir=HOST
    python -m jmim.main --mode=eval --config=configs/adaspa_shapes.py \
      --workdir=HOST --allow_changes

The run stays as it is; another is its method, whose weights are the same. For a
run of its own, of one step at learning rate 0 from the average of HOST:

    python -m jmim.main --config=configs/adaspa_shapes.py:host=HOST --workdir=W

Arguments: selection=heads (rows, whole, columns, diagonals, window, random),
sparsity=0.8, host= (a run of step_video_shapes). 320 tokens in 20 blocks of 16,
of which a row keeps 4, or 2 or 6 of heads that need less or more; searches in
calls 10 and 30 of 50. `recalls/recall_*`: share of attention that masks of
equal size keep; `recalls/kept`: of that, after twenty calls; `fidelity/psnr`:
of clips to those of dense attention from the same noise.

Size: 0.717 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

STEPS = 50


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, selection="heads", sparsity=0.8, host="")
  config = configs.load("step_video_shapes")
  config.method.type = "video.adaspa"
  config.method.sparse = configs.section(
    sparsity=arg.sparsity,
    block=16,
    searches=(10, 30),
    selection=arg.selection,
  )
  config.method.sampling.steps = STEPS
  weights = "ema"
  if arg.host:
    config.init_from.update(path=arg.host, weights=weights)
    config.optim.lr = 0.0
    config.schedule.warmup_steps = 0
    config.train.update(total_steps=1, checkpoint_steps=1)
    weights = "raw"
  mean = lambda of, limit: configs.section(
    type="mean", predict=of, weights=weights, limit=limit
  )
  config.evals = configs.section(
    recalls=mean("recalls", 64),
    fidelity=mean("fidelity", 64),
    samples=configs.section(type="samples", weights=weights),
  )
  return config
