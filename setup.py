"""Packaging of jmim: what it needs, and what each extra adds.

Every lower bound of REQUIRES was tried: all of them together, on Python 3.11,
with the tests that docs/dependencies.md names, which also says what each is
for. There are no upper bounds: a newer release that breaks something should
be met by a failing test, not by a resolver that silently picks an old one.
`configs/` stays at the top of a
checkout, where recipes are read and copied; in an installed package they are
the folder `recipes` of it (`jmim.core.recipes`).
"""

import pathlib
import re
import shutil

import setuptools
from setuptools.command import build_py

ROOT = pathlib.Path(__file__).resolve().parent

REQUIRES = [
  "absl-py>=2.0.0",
  "einops>=0.7.0",
  "etils[epath]>=1.9.1",
  "flax>=0.11.0",
  "google-crc32c>=1.5.0",
  "grain>=0.2.15",
  # Imported by tensorflow-datasets, which forgets to ask for it.
  "importlib_resources>=6.0.0",
  "jax>=0.8.0",
  "matplotlib>=3.9.0",
  "ml_collections>=1.0.0",
  "ml_dtypes>=0.5.0",
  "numpy>=2.0.0",
  "opencv-python-headless>=4.10.0.84",
  "optax>=0.2.5",
  "orbax-checkpoint>=0.11.28",
  "Pillow>=10.0.0",
  "protobuf>=6.31.1",
  "rich>=13.7.0",
  "safetensors>=0.4.3",
  "scikit-learn>=1.5.0",
  "scipy>=1.13.0",
  "tensorboardX>=2.6.2.2",
  "tensorflow-datasets>=4.9.9",
]

# An extra without a bound is one whose older versions were never tried.
EXTRAS = {
  # CUDA 12 runs on more drivers than 13; for 13 install `jax[cuda13]` instead.
  "gpu": ["jax[cuda12]>=0.8.0"],
  "tpu": ["jax[tpu]>=0.8.0"],
  # The TPU compiler alone, for `--mode=dry_run` on a machine without a TPU.
  "aot": ["libtpu>=0.0.42"],
  # The authors' PyTorch code and tf.data, to time ours against, and the
  # libraries whose weights are read and written, to compare outputs.
  "bench": ["diffusers", "tensorflow", "timm", "torch", "transformers"],
  # libjpeg-turbo 3, for data.decoder="turbo".
  "fast": ["turbojpeg>=0.0.2"],
  # Folders of Parquet files, as the Hugging Face hub has data sets.
  "parquet": ["pyarrow"],
  # Tokenizers of others (CLIP, T5): data.tokenizer="file:PATH".
  "text": ["tokenizers>=0.23"],
  "wandb": ["wandb"],
  # `--mode=export --push`.
  "hub": ["huggingface_hub>=0.23"],
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
    # Files of tokens, whose tests are skipped without it.
    "tokenizers>=0.23",
    # The decoder of "fast", whose tests are skipped without it.
    "turbojpeg>=0.0.2",
    # JAX packs the programs it keeps with it, or else with zlib, which takes
    # as long as compiling a small one.
    "zstandard>=0.25",
  ],
}


class BuildPy(build_py.build_py):
  """Puts the recipes into the package."""

  def run(self):
    """Copies the modules, then the recipes."""
    super().run()
    if self.editable_mode:  # those of the checkout are found
      return
    target = pathlib.Path(self.build_lib) / "jmim" / "recipes"
    shutil.rmtree(target, ignore_errors=True)
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "configs", target, ignore=leave)


def version():
  """`jmim.__version__`, which is not imported here."""
  text = (ROOT / "jmim" / "__init__.py").read_text(encoding="utf-8")
  return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


setuptools.setup(
  name="jmim",
  version=version(),
  description="Masked image modelling and masked diffusion in JAX",
  license="Apache-2.0",
  python_requires=">=3.11",
  packages=setuptools.find_packages(include=["jmim", "jmim.*"]),
  # An editable install then puts the checkout itself on the path. With the
  # import hook that it would use otherwise, a folder named `jmim` beside a
  # script (a clone) is imported in its place, as a package without files.
  package_dir={"": "."},
  package_data={"jmim.report": ["report.*"]},
  install_requires=REQUIRES,
  extras_require=EXTRAS,
  cmdclass={"build_py": BuildPy},
  entry_points={"console_scripts": ["jmim = jmim.main:cli"]},
)
