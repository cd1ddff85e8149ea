"""ThinkDiff-LVLM: Qwen2-VL-7B's thoughts, told to the decoder of Flan-T5-XXL.

Examples are stored ones: `generated` [64, 3584], features after the last norm
of the 64 tokens that Qwen2-VL-7B says of an image of CC-SBU (temperature 0.6,
top-p 0.9, no end); `rests` [64, 128], for each p the text of the tokens from p
on as T5's tokens, with an end, then 0. Neither Qwen2-VL nor the images are
here: docs/data_special.md says how such a set is written (500,000 examples as
float16 take 230 GB).

    python -m jmim.convert --from=hf_t5 --weights=flan-t5-xxl --out=runs/xxl
    python -m jmim.main --config=configs/thinkdiff_ccsbu.py:t5=runs/xxl \
      --workdir=W --config.data.data_dir=DIR

Arguments: t5= (a run), steps=40000, batch=128, norm=copied (own).

Reference (the authors'; not repeated here): CoBSAT, mean of ten tasks, 4 shots,
46.3 %. They set 200,000 steps (40 times 5000) and report 5 hours on 4 A100,
which is nearer to 40,000. The cosine from 1e-4 to 8e-5 ends with the run here.

Size: 31.5 M parameters.
Time: not measured.
Expect: CoBSAT, mean of ten tasks, 46.3 % (the authors'; not repeated).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, t5="", steps=40_000, batch=128, norm="copied")
  config = configs.base()
  config.data.update(name="ccsbu_qwen2vl", eval_split="test", batch=arg.batch)
  config.method = configs.section(
    type="text.thinkdiff",
    variant=dict(type="lvlm", length=64, width=3584, most=128),
    text=dict(length=128, pad=0, end=1),
    t5=dict(width=4096, depth=24, heads=64, head_width=64, hidden=10_240),
    host=dict(path=arg.t5),
    projector=dict(norm=arg.norm),
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.05)
  config.schedule.update(
    name="cosine", start_lr=1e-6, min_lr=8e-5, warmup_steps=2000
  )
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=2000, log_steps=50
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=2000, limit=2048)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the frozen decoder
  return config
