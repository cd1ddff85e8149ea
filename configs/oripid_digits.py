"""OriPID on the scattered digits: whose edit is this?

A linear map of latents, 192 to 64, sees edits by one model (A) only. Before it:
autoencoder_kl_digits (AE), ldm_digits:autoencoder=AE (A), dit_latents_digits
likewise (B), and edits of both, stored as data sets:

    python -m jmim.main --mode=apply --workdir=EDITS_A \
      --config=configs/oripid_edits_digits.py:source=A,store=oripid_a
    python -m jmim.main --mode=apply --workdir=EDITS_B \
      --config=configs/oripid_edits_digits.py:source=B,store=oripid_b,queries=True
    python -m jmim.main --config=configs/oripid_digits.py:autoencoder=AE \
      --workdir=W

`seen/map` and `unseen/map` are of queries by A and B (100 origins, 20 each) in
a gallery of 5000, `raw_..` those of the latents as they are; sheets in W/images
show queries with their first five hits.

Arguments: autoencoder= (its run), folder= (data.data_dir of the data sets),
steps=1000, lr=1e-3, convolutions=0 (16: a small network on pixels in the place
of the latents). `python -m jmim.tools.claim oripid` compares.

Not yet run to its end here.

Size: 0.0443 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def asked(store: str, **how):
  """Origins of a data set's edits in a gallery that begins with them."""
  return configs.section(
    type="retrieval",
    queries=store,
    gallery="digits/scattered",
    gallery_split="train[500:5500]",
    id="origin",
    gallery_id="index",
    reference=False,
    **how,
  )


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, autoencoder="", folder="", steps=1000, lr=1e-3, convolutions=0
  )
  config, half = configs.base(), (0.5, 0.5, 0.5)
  config.data.update(name="oripid_a", data_dir=arg.folder, batch=16)
  config.data.update(group="origin", members=4)
  config.data.update(size=32, flip=False, mean=half, std=half)
  latents = dict(variant="kl-f4", read="images", width=32, blocks=1)
  config.method = configs.section(
    type="edit.oripid",
    size=32 if arg.convolutions else 8,
    channels=3,
    features=64,
    convolutions=arg.convolutions,
    head=dict(classes=500),
    first_stage=dict(variant="none") if arg.convolutions else latents,
  )
  if not arg.convolutions:
    config.method.first_stage.path = arg.autoencoder
  config.optim.update(lr=arg.lr, b2=0.999, weight_decay=0.0)
  epoch = arg.steps // 25
  config.schedule.update(
    name="cosine",
    start_lr=0.01 * arg.lr,
    warmup_steps=5 * epoch,
    hold_steps=5 * epoch,
    stair_steps=epoch,
  )
  config.ema.decay = 0.99
  config.train.update(total_steps=arg.steps, log_steps=50)
  for name, store in (("seen", "oripid_a"), ("unseen", "oripid_b")):
    config.evals[name] = asked(store, weights="ema", examples=8)
    config.evals[f"raw_{name}"] = asked(store, predict="latents")
  return config
