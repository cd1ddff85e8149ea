"""Sequences of a known Markov chain (`jmim.data.procedural.markov`).

`peaked`: 32 tokens of 32. `short`: 8 tokens of 8, few enough to enumerate
masks. The evaluator `perplexity` knows the chain of each by its name.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import splits
from jmim.data.procedural import markov


@dataclasses.dataclass(eq=False, kw_only=True)
class MarkovConfig(tfds.core.BuilderConfig):
  """Of the sequences.

  Attributes:
    vocabulary: different tokens.
    length: tokens of a sequence.
    train: sequences of the train split.
    test: sequences of the test split.
  """

  vocabulary: int = 32
  length: int = 32
  train: int = 32_768
  test: int = 4096


CONFIGS = {
  config.name: config
  for config in (
    MarkovConfig(name="peaked", description="32 tokens of 32"),
    MarkovConfig(
      name="short",
      description="8 tokens of 8",
      vocabulary=8,
      length=8,
      train=8192,
      test=1024,
    ),
  )
}


def chain(name: str) -> markov.Chain:
  """The chain that a config of the data set is drawn from."""
  return markov.make(CONFIGS[name].vocabulary)


class Markov(tfds.core.GeneratorBasedBuilder):
  """The builder; feature `tokens`, int32 [length]."""

  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = list(CONFIGS.values())

  def _info(self) -> tfds.core.DatasetInfo:
    tokens = tfds.features.Tensor(
      shape=(self.builder_config.length,),
      dtype=np.int32,
      encoding=tfds.features.Encoding.BYTES,
    )
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict({"tokens": tokens}),
    )

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    del dl_manager  # nothing to download
    return {split: self._generate_examples(split) for split in splits.MADE}

  def _generate_examples(self, split: str) -> Iterator[tuple[str, dict]]:
    config = self.builder_config
    rng = np.random.default_rng([1, splits.MADE.index(split)])
    rows = chain(config.name).draw(rng, getattr(config, split), config.length)
    for i, tokens in enumerate(rows):
      yield f"{i:06d}", {"tokens": tokens}
