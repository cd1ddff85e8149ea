from jmim.data.procedural import prompts
from jmim.methods.parts import word_tables


def test_classes_are_those_of_the_tables():
  assert prompts.CLASSES == word_tables.VOC


def test_every_text_has_a_word_of_its_class():
  for name, words in zip(prompts.CLASSES, word_tables.words(), strict=True):
    for text in prompts.of(name):
      assert set(text.split()) & {*words.split(), name}, text
      assert "  " not in text and text == text.strip()


def test_sub_classes_and_plain_texts():
  birds = prompts.of("bird")
  assert len(birds) == 98 and "Photo of a Blue jay bird" in birds
  cats = prompts.of("cat")
  assert cats.count("Photo of a cat") == 8 and len(cats) == 54
  dogs = prompts.of("dog")
  assert len(dogs) == 126 and "Photo of a Chinese Shar-Pei dog" in dogs
  assert prompts.of("sofa") == ("Photo of a sofa",)
  assert prompts.of("diningtable") == ("Photo of a table",)
  assert len(prompts.of("bicycle")) == 3
  people = prompts.of("person")
  assert len(people) == 8 * 46 and "photo of back of a old man" in people
  assert "Photo of a SEDAN car" in prompts.of("car")
