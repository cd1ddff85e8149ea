"""Packaging of jmim: what it needs, and what each extra adds.

Every lower bound below is the oldest version that the tests were run with; an
older one may work, but nobody looked. There are no upper bounds: a newer
release that breaks something should be met by a failing test, not by a
resolver that silently picks an old one. `configs/` is not packaged: recipes
are files of the checkout, meant to be read and copied.
"""

import setuptools

REQUIRES = [
  "absl-py>=2.5",
  "einops>=0.8.2",
  "etils[epath]>=1.15",
  "flax>=0.12.8",
  "grain>=0.2.18",
  # Imported by tensorflow-datasets, which forgets to ask for it.
  "importlib_resources>=7.1",
  "jax>=0.10.2",
  "matplotlib>=3.11",
  "ml_collections>=1.1",
  "ml_dtypes>=0.6",
  "numpy>=2.4",
  "opencv-python-headless>=5.0",
  "optax>=0.2.8",
  "orbax-checkpoint>=0.12.8",
  "Pillow>=13.0",
  "rich>=15.0",
  "safetensors>=0.8",
  "scikit-learn>=1.9",
  "scipy>=1.17",
  "tensorboardX>=2.6.5",
  "tensorflow-datasets>=4.9.10",
]

# An extra without a bound is one whose older versions were never tried.
EXTRAS = {
  # CUDA 12 runs on more drivers than 13; for 13 install `jax[cuda13]` instead.
  "gpu": ["jax[cuda12]>=0.10.2"],
  "tpu": ["jax[tpu]>=0.10.2"],
  # The TPU compiler alone, for `--mode=dry_run` on a machine without a TPU.
  "aot": ["libtpu>=0.0.42"],
  # The authors' PyTorch code and tf.data, to time ours against, and the
  # libraries whose weights are read and written, to compare outputs.
  "bench": ["diffusers", "tensorflow", "timm", "torch", "transformers"],
  # libjpeg-turbo 3, for data.decoder="turbo".
  "fast": ["turbojpeg>=0.0.2"],
  "wandb": ["wandb"],
  "docs": ["mkdocs>=1.6.1", "mkdocstrings[python]>=1.0.8"],
  # To make and run the notebooks of colab/; using them needs none of it.
  "colab": ["ipykernel", "jupytext", "nbclient", "nbformat"],
  "test": [
    "chex>=0.1.92",
    "html5lib>=1.1",
    "hypothesis>=6.170",
    "ipykernel>=7.4",
    "jupytext>=1.19.6",
    "mkdocs>=1.6.1",
    "mkdocstrings[python]>=1.0.8",
    "nbclient>=0.11",
    "nbformat>=5.11",
    "psutil>=7.2",
    "PyYAML>=6.0",
    "pytest>=9.2",
    "pytest-xdist>=3.8",
    "ruff>=0.17",
    "scikit-image>=0.26",
    # The decoder of "fast", whose tests are skipped without it.
    "turbojpeg>=0.0.2",
  ],
}

setuptools.setup(
  name="jmim",
  version="0.1.0",
  description="Masked image modelling and masked diffusion in JAX",
  license="Apache-2.0",
  python_requires=">=3.11",
  packages=setuptools.find_packages(include=["jmim", "jmim.*"]),
  package_data={"jmim.report": ["report.*"]},
  install_requires=REQUIRES,
  extras_require=EXTRAS,
  entry_points={"console_scripts": ["jmim = jmim.main:cli"]},
)
