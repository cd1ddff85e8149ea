# %% [markdown]
# # Write your own method
#
# A method is one file: a frozen dataclass of pure functions. It never sees the
# mesh, the optimizer, files or flags. The trainer, sharding, checkpoints,
# evaluators and pictures work as soon as the file exists. This notebook writes
# the one of docs/add_a_method.md, a denoising autoencoder, looks at it by hand,
# and trains it.

# %% [markdown]
# ## The method
#
# Read it beside its equations: `draw` makes all randomness of a step, from keys
# it asks for by name; `loss` is then a plain function of arrays.

# %%
# !mkdir -p my_lab

# %% include my_lab/denoise.py

# %% [markdown]
# ## Its recipe

# %% include my_lab/denoise_digits.py

# %% [markdown]
# ## Train it
#
# `method.type` is a module path, the other keys of `config.method` are the
# fields of the class; the sizes of the encoder are a section, `method.dims`.

# %%
# !$JMIM --config=my_lab/denoise_digits.py --workdir=runs/notebook_03

# %% [markdown]
# A misspelt key is an error that names the nearest, before anything is
# compiled:

# %%
# !$JMIM --config=my_lab/denoise_digits.py --workdir=runs/notebook_03 --config.method.sgima=0.3

# %% [markdown]
# ## Look at it by hand
#
# Because randomness is data, a loss can be evaluated twice on the same draws,
# or on draws that came from somewhere else.

# %%
import jax
import numpy as np

from jmim.core import method as methods
from my_lab import denoise

method = denoise.Denoise(size=8)
rng = np.random.default_rng(0)
batch = {"image": rng.normal(size=(4, 8, 8, 3)).astype("float32")}
weights = methods.Weights(*method.init(jax.random.key(0), batch))
draws = method.drawn(jax.random.key(1), batch)
loss = lambda sigma: denoise.Denoise(size=8, sigma=sigma).loss(
  weights, batch, draws, 0
)[0]
print({name: value.shape for name, value in draws.items()})
print([float(loss(sigma)) for sigma in (0.0, 0.5, 0.5, 2.0)])

# %% [markdown]
# ## Test it
#
# ```sh
# python -m pytest tests/contract --method=my_lab.denoise
# ```
#
# checks, for any method, that a batch can be overfitted, that every trainable
# leaf gets a gradient, that a resumed run is equal bit for bit, that one and
# eight devices agree, and more (`pip install -e '.[test]'`, a minute or two).
# docs/add_a_method.md has the contract in one table.
