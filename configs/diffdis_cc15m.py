"""DiffDis from Stable Diffusion 1.5 at 256 px, on CC3M and CC12M.

SD is what `python -m jmim.convert --from=sd --weights=FILE --out=SD` makes, of
which the UNet and the first stage are used. Its text encoder has no projection,
which the vector of a text needs: CLIP is a run of `--from=hf_clip_model`, whose
tower (L/14) is the same and has one. Examples hold `moments` [32, 32, 8] of
that first stage (`jmim.tools.cache_latents`) and a `caption`; TOKENS is CLIP's
tokenizer.json.

    python -m jmim.main --workdir=W --config.data.data_dir=DIR \
      --config=configs/diffdis_cc15m.py:sd=SD,text=CLIP,tokenizer=TOKENS

Arguments: sd=, text=, tokenizer=, steps=100000, batch=2048 (half per task). A
single task, for comparison: --config.method.shares.discrimination=0, or
generation=0.

Reference: +1.65 points of mean accuracy over 12 data sets and -2.42 of FID
against single tasks (the authors' abstract, who have published no code: sizes,
rates and steps here are a choice).

Size: 985 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, sd="", text="CLIP", tokenizer="", steps=100_000, batch=2048
  )
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="cc15m_latents",
    eval_split="test",
    batch=arg.batch,
    size=256,
    flip=False,
    mean=half,
    std=half,
    tokenizer=f"file:{arg.tokenizer or 'tokenizer.json'}",
    text_start=49_406,
    text_end=49_407,
    text_pad=49_407,
  )
  run = lambda name: f"{arg.sd or 'SD'}/{name}"
  config.method = configs.section(
    type="latent.diffdis",
    size=32,
    channels=4,
    dims=dict(
      width=320, multipliers=(1, 2, 4, 4), attend_at=(1, 2, 4), heads=8
    ),
    first_stage=dict(variant="kl-f8", scale=0.18215, path=run("first_stage")),
    noise=dict(beta_start=0.00085, beta_end=0.012),
    condition=dict(text=dict(projection=768, path=arg.text)),
    sampling=dict(steps=50, guidance=7.5),
    image_lr=0.1,
  )
  if arg.sd:
    fresh = ("^main/branch/", "^main/log_scale$")
    config.init_from.update(path=run("net"), reinit=fresh)
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.01)
  config.schedule.update(name="constant", warmup_steps=1000)
  config.ema.decay = 0.9999
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", every_steps=10_000, limit=1024),
    zeroshot=configs.section(type="zeroshot", every_steps=10_000, limit=4096),
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
