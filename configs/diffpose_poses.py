"""DiffPose on procedural bodies: 16 joints, heatmaps of 32 px drawn of modes.

    python -m jmim.main --config=configs/diffpose_poses.py --workdir=runs/pose

Arguments: steps=6000, candidates=32 (1: the best cell alone), hypotheses=50.

Size: 0.512 M parameters.
Time: 5 minutes for 2500 steps, beside other work.
Expect: MPJPE of the best of 50 after 2500 steps, 80 mm.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=6000, candidates=32, hypotheses=50)
  config = configs.base()
  config.data.update(
    name="poses/small", eval_split="test", batch=128, flip=False
  )
  config.method = configs.section(
    type="pose.diffpose",
    heatmaps=configs.section(size=32, modes=2, sigma=1.2),
    candidates=configs.section(count=arg.candidates),
    condition=configs.section(channels=16, depth=2, hidden=128, condition=16),
    width=256,
    sampling=configs.section(count=arg.hypotheses),
  )
  config.optim.update(lr=5e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=2000)
  config.evals = configs.section(
    loss=configs.section(type="loss"),
    pose=configs.section(type="pose", hard=1.4),
  )
  return config
