"""Step-Video-T2V after its stages: Video-DPO, then Turbo, 544 x 992.

    R=configs/step_video_posttrained.py
    python -m jmim.main --config=$R:stage=dpo,start=C --workdir=D \
      --config.data.data_dir=DIR
    python -m jmim.tools.make_pairs --workdir=D --name=text_noise_latents \
      --out=DIR --num=95000 --weights=raw
    python -m jmim.main --config=$R:stage=turbo,start=D --workdir=E ...

C is a run of step_video_published:stage=clips544, or the average of several
(`jmim.tools.average_checkpoints`). Examples are as there; of stage=dpo
(`text_pairs_latents`) `moments` are those of two clips of one text, the
preferred first. Neither stage has an EMA: Turbo begins at the weights that made
its pairs.

Arguments: stage=dpo (turbo), start= (a run), size=4b (30b), length=204 (136,
68), batch=64, first_stage=, null= (as there).

Reference: none that is a number. Not published: beta, learning rates, batches,
steps. Turbo samples in 10 to 15 calls with guidance 5.

Size: 4.93 G parameters.
Time: not measured.
Expect: nothing published.
"""

from jmim.core import choices
from jmim.core import config as configs

# Type, examples, steps.
STAGES = {
  "dpo": ("video.video_dpo", "text_pairs_latents", 1000),
  "turbo": ("video.step_video_turbo", "text_noise_latents", 2000),
}


def get_config(arg: str | None = None):
  known = dict(stage="dpo", size="4b", length=204, batch=64)
  arg = configs.parse_arg(arg, start="", first_stage="", null="", **known)
  choices.check(arg, stage=STAGES)
  name, examples, steps = STAGES[arg.stage]
  same = ("start", "size", "length", "batch", "first_stage", "null")
  words = ",".join(f"{n}={arg[n]}" for n in same if arg[n])
  config = configs.load(f"step_video_published:stage=clips544,{words}")
  config.data.name = examples
  config.method.type = name
  if arg.stage == "dpo":
    config.method.reference = configs.section(path=arg.start)
  config.optim.update(lr=1e-5, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=50, min_lr=0.0)
  config.train.update(total_steps=steps, checkpoint_steps=500)
  config.ema.decay = 0.0  # 0.9999 would still be near where it began
  config.evals.errors.every_steps = 500
  return config
