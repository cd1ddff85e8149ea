"""T5 v1.1 on C4: gaps of 15 % in pieces of 512 tokens.

Tokens come from one file per split, DIR/train.npy and DIR/val.npy: all texts
behind each other as ids of T5's tokenizer, an end (1) after each, uint16 [n]:

    read = tokenizers.Tokenizer.from_file("tokenizer.json")  # pip jmim[text]
    ids = [i for t in texts for i in (*read.encode(t).ids, 1)]
    np.save("DIR/train.npy", np.asarray(ids, np.uint16))
    python -m jmim.main --config=configs/t5_c4.py --workdir=W \
      --config.data.data_dir=DIR

A piece ends at its first end: of shorter texts the rest of a piece is unread.
Published weights instead of training: `python -m jmim.convert --from=hf_t5`.

Arguments: size=base (small, large, xl, xxl), steps=1000000, batch=2048.

Reference: none here. The authors' rate, 1 / sqrt(max(step, 10^4)), is one of
Adafactor, which multiplies it by the size of each parameter. Here AdamW has a
tenth of it, after 1000 steps of warm-up: size and warm-up are ours, the curve
is theirs.

Size: 248 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

# Width, hidden width, blocks of either side, heads of 64.
SIZES = {
  "small": (512, 1024, 8, 6),
  "base": (768, 2048, 12, 12),
  "large": (1024, 2816, 24, 16),
  "xl": (2048, 5120, 24, 32),
  "xxl": (4096, 10240, 24, 64),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, size="base", steps=1_000_000, batch=2048)
  choices.check(arg, size=SIZES)
  width, hidden, depth, heads = SIZES[arg.size]
  config = configs.base()
  config.data.update(name="text/ids:512", eval_split="val", batch=arg.batch)
  config.method = configs.section(
    type="text.t5",
    network=dict(width=width, hidden=hidden, depth=depth, heads=heads),
    length=512,
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(
    name="rsqrt", warmup_steps=1000, hold_steps=9000, timescale_steps=10_000
  )
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=10_000, limit=8192)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
