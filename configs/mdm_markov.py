"""Masked diffusion of sequences of a known Markov chain, sampled by FHS.

    python -m jmim.main --config=configs/mdm_markov.py --workdir=runs/mdm
    python -m jmim.main --mode=sample --config=configs/mdm_markov.py \
      --workdir=runs/mdm --num=100

Arguments: steps=2000, timed=False (True: the network is conditioned on the
time, and the loss is the continuous one).

The least possible loss is `perplexity/nll_chain`, the entropy of the chain per
token: 1.7231 nats; the bound of the likelihood ends at 57.5 / 32 = 1.796 nats
(4096 sequences, seed 0).

Size: 0.106 M parameters.
Time: not measured.
Expect: bound of the likelihood 1.796 nats per token (least possible 1.7231).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=2000, timed=False)
  config = configs.base()
  config.data.update(name="markov/peaked", batch=64)
  config.method = configs.section(
    type="discrete.mdm",
    network=dict(
      codes=32, length=32, width=64, depth=2, heads=4, timed=arg.timed
    ),
    objective="continuous" if arg.timed else "agnostic",
    nll_draws=16,
  )
  config.optim.update(lr=2e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_steps=100)
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    bound=configs.section(type="nll"),
    perplexity=configs.section(
      type="perplexity", chain=32, examples=4096, every_steps=1000
    ),
  )
  return config
