"""MDLM-small on OpenWebText, after the released code's settings.

Tokens come from one file per split, DIR/train.npy and DIR/val.npy: all texts
behind each other as GPT-2 ids, [EOS] between them, uint16 [n]. jmim has no
tokenizer of GPT-2; with `tiktoken`:

    enc = tiktoken.get_encoding("gpt2")
    ids = [i for t in texts for i in (*enc.encode_ordinary(t), enc.eot_token)]
    np.save("DIR/train.npy", np.asarray(ids, np.uint16))
    python -m jmim.main --config=configs/mdm_openwebtext.py --workdir=W \
      --config.data.data_dir=DIR

Arguments: steps=1000000, batch=512, length=1024, kind=ids (byte, char: text
files in DIR/train and DIR/val instead), codes=50257 (byte: 256).

Reference (the authors'; not repeated here): generative perplexity / entropy of
samples with float32 draws 31.24 / 5.17, with float64 126.11 / 5.66. Not
followed: dropout 0.1 (there is none), rotary positions.

Size: 163 M parameters.
Time: not measured.
Expect: the authors' generative perplexity, float64, not repeated: 126.11.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, steps=1_000_000, batch=512, length=1024, kind="ids", codes=50_257
  )
  config = configs.base()
  config.data.update(
    name=f"text/{arg.kind}:{arg.length}", eval_split="val", batch=arg.batch
  )
  config.method = configs.section(
    type="discrete.mdm",
    network=dict(codes=arg.codes, length=arg.length),
    objective="continuous",
  )
  config.optim.update(lr=3e-4, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=2500)
  config.ema.update(decay=0.9999, warmup=False)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=50_000, log_steps=100
  )
  config.evals = configs.section(
    bound=configs.section(
      type="nll", weights="ema", limit=2048, every_steps=10_000
    ),
    perplexity=configs.section(
      type="perplexity", weights="ema", examples=256, every_steps=100_000
    ),
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
