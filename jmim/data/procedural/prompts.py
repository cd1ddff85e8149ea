"""Texts of pictures of a class: its name, sub-classes, and what goes on.

Those that DiffuMask tells Stable Diffusion for the 20 classes of PASCAL VOC
(weijiawu/DiffuMask@913d232). Some classes are said without a sub-class, too:
each has a number of such texts among its own, from which one is drawn. The
captions of LAION that the authors add for cars and persons are left out: the
service that they asked is gone.
"""

import functools

# Sub-classes, and how often there is none.
_SUB = {
  "bird": (
    0,
    """
  Masai Ostrich, Macaw, Eagle, Duck, Hen, Parrot, Peacock, Dove, Stork,
  Swan, Pigeon, Goose, Pelican, Macaw, Parakeet, Finches, Crow, Raven,
  Vulture, Hawk, Crane, Penguin, Hummingbird, Sparrow, Woodpecker, Hornbill,
  Owl, Myna, Cuckoo, Turkey, Quail, Ostrich, Emu, Cockatiel, Kingfisher,
  Kite, Cockatoo, Nightingale, Blue jay, Magpie, Goldfinch, Robin, Swallow,
  Starling, Pheasant, Toucan, Canary, Seagull, Heron, Potoo, Bush warbler,
  Barn swallow, Cassowary, Mallard, Common swift, Falcon, Megapode,
  Spoonbill, Ospreys, Coot, Rail, Budgerigar, Wren, Lark, Sandpiper, Arctic
  tern, Lovebird, Conure, Rallidae, Bee-eater, Grebe, Guinea fowl,
  Passerine, Albatross, Moa, Kiwi, Nightjar, Oilbird, Gannet, Thrush,
  Avocet, Catbird, Bluebird, Roadrunner, Dunnock, Northern cardinal, Teal,
  Northern shoveler, Gadwall, Northern pintail, Hoatzin, Kestrel, Oriole,
  Partridge, Tailorbird, Wagtail, Weaverbird, Skylark
    """,
  ),
  "cat": (
    8,
    """
  Abyssinian, American Bobtail, American Curl, American Shorthair, American
  Wirehair, Balinese-Javanese, Bengal, Birman, Bombay, British Shorthair,
  Burmese, Chartreux Cat, Cornish Rex, Devon Rex, Egyptian Mau, European
  Burmese, Exotic Shorthair, Havana Brown, Himalayan, Japanese Bobtail,
  Korat, LaPerm, Maine Coon, Manx, Munchkin, Norwegian Forest, Ocicat,
  Oriental, Persian, Peterbald, Pixiebob, Ragamuffin, Ragdoll, Russian Blue,
  Savannah, Scottish Fold, Selkirk Rex, Siamese, Siberian, Singapura,
  Somali, Sphynx, Tonkinese, Toyger, Turkish Angora, Turkish Van
    """,
  ),
  "cow": (
    16,
    """
  Ayrshire, Brown Swiss, Guernsey, Holstein, Jersey, Milking Shorthorn, Red
  & White, small Ayrshire, small Brown Swiss, small Guernsey, small
  Holstein, small Jersey, small Milking Shorthorn, small Red & White, small,
  small, small, small, small, small, small
    """,
  ),
  "pottedplant": (
    9,
    """
  Spider, Aloe Vera, Peace Lily, Jade, African Violet, Weeping Fig, Baby
  Rubber, Bromeliads, Calathea, Dracaena, Ficus, Orchid, Eternal Flame,
  Rattlesnake, Pin Stripe Calathea, Barberton Daisy, Areca Palm, Corn
    """,
  ),
  "horse": (
    9,
    """
  American Quarter, Arabian, Thoroughbred, Appaloosa, Morgan, Warmbloods,
  Ponies, Grade, Gaited Breeds, Draft Breeds
    """,
  ),
  "sheep": (
    7,
    """
  Merino Wool, Rambouillet, Suffolk, Hampshire, Katahdin, Dorper, Dorset,
  Southdown, Karakul, Lincoln, Icelandic, Navajo Churro
    """,
  ),
  "dog": (
    32,
    """
  Affenpinscher, Afghan Hound, Airedale Terrier, Akita, Alaskan Malamute,
  American English Coonhound, American Eskimo Dog, American Foxhound,
  American Staffordshire Terrier, American Water Spaniel, Anatolian
  Shepherd, Australian Cattle, Australian Shepherd, Australian Terrier,
  Basenji, Basset Hound, Beagle, Bearded Collie, Beauceron, Bedlington
  Terrier, Belgian Malinois, Belgian, Belgian Tervuren, Berger Picard,
  Bernese Mountain, Bichon Frise, Black and Tan Coonhound, Black Russian
  Terrier, Bloodhound, Bluetick Coonhound, Boerboel, Border Collie, Border
  Terrier, Borzoi, Boston Terrier, Bouvier des Flandres, Boxer, Boykin
  Spaniel, Briard, Brittany, Brussels Griffon, Bull Terrier, Bull,
  Bullmastiff, Cairn Terrier, Canaan, Cane Corso, Cardigan Welsh Corgi,
  Cavalier King Charles Spaniel, Cesky Terrier, Chesapeake Bay Retriever,
  Chihuahua, Chinese Crested, Chinese Shar-Pei, Chinook, Chow Chow, Cirneco
  dell'Etna, Clumber Spaniel, Cocker Spaniel, Collie, Corgi, Coton de
  Tulear, Curly-Coated Retriever, Dachshund, Dalmatian, Dandie Dinmont
  Terrier, Doberman Pinscher, Dogue de Bordeaux, English Cocker Spaniel,
  English Foxhound, English Setter, Whippet, Wire Fox Terrier, Wirehaired
  Pointing Griffon, Wirehaired Vizsla, Xoloitzcuintli, Finnish Spitz, Glen
  of Imaal Terrier, Great Pyrenees, Irish Setter, Irish Water Spaniel,
  Keeshond, Labrador Retriever, Lagotto Romagnolo, Leonberger, Manchester
  Terrier, Mastiff, Miniature Bull Terrier, Miniature Pinscher, Neapolitan
  Mastiff, Norwegian Elkhound, Nova Scotia Duck Tolling Retriever,
  Otterhound, Papillon
    """,
  ),
  "bus": (
    1,
    """
  Coach, Motor, School, Shuttle, Mini, Minicoach, Double-decker,
  Single-decker, Low-floor, Step-entrance, Trolley, Articulated, Guided,
  Neighbourhood, Gyrobus, Hybrid, Police, Open top, Electric, Transit, Tour,
  Commuter, Party
    """,
  ),
}
_CAR = """
  SEDAN, COUPE, SPORTS, STATION WAGON, HATCHBACK, CONVERTIBLE,
  SPORT-UTILITY VEHICLE, MINIVAN, PICKUP TRUCK
"""
_CARS = (
  "Photo of a car",
  "Photo of a car in the street",
  "Photo of a car in the road",
  "Photo of a car in the street at night",
  "Photo of the back of a car",
  "Photo of the overturn of a car",
)
_PEOPLE = "person, man, woman, child, boy, girl, old man, teenager"
_DOES = """
  walking, eating, riding motorbike, riding bicycle, riding horse, driving,
  play, playing baseball, playing Basketball, playing Badminton, Swimming,
  playing Bodybuilding, playing Bowling, dancing, playing Football, playing
  Golf, playing Frisbee, Skiing, playing Table Tennis, doing Yoga, doing
  Fitness, doing Rugby, doing Wrestling, doing High jumping, Cycling, running,
  Fishing, doing Judo, Climbing, walking in the street, in the road, playing at
  home, in the shopping center, in on the mountain, in on the mountain,
  crossing a road, sitting, sitting at home, playing at sofa, playing at home,
  cooking, running
"""
_OF_PEOPLE = (
  "photo of back of a {}",
  "photo of a {}",
  "photo of arm of a {}",
  "photo of foot of a {}",
)
_PLAIN = ("Photo of a {}", "a {}", "{}")  # where the authors say nothing else
_ALONE = (
  "aeroplane",
  "boat",
  "bottle",
  "chair",
  "diningtable",
  "sofa",
  "train",
  "tvmonitor",
)
CLASSES = (
  "aeroplane",
  "bicycle",
  "bird",
  "boat",
  "bottle",
  "bus",
  "car",
  "cat",
  "chair",
  "cow",
  "diningtable",
  "dog",
  "horse",
  "motorbike",
  "person",
  "pottedplant",
  "sheep",
  "sofa",
  "train",
  "tvmonitor",
)


def _listed(text: str) -> list[str]:
  return " ".join(text.split()).split(", ")


@functools.cache
def of(name: str) -> tuple[str, ...]:
  """All texts of a class, of which one is drawn; some are there repeatedly."""
  if name in _SUB:
    alone, text = _SUB[name]
    kinds = [f"{kind} {name}" for kind in _listed(text)] + [name] * alone
    return tuple(f"Photo of a {kind}" for kind in kinds)
  if name == "car":
    return (*(f"Photo of a {kind} car" for kind in _listed(_CAR)), *_CARS)
  if name == "person":
    forms = [f"photo of a {{}} is {does}" for does in _listed(_DOES)]
    forms += _OF_PEOPLE
    return tuple(f.format(who) for who in _listed(_PEOPLE) for f in forms)
  forms = _PLAIN[:1] if name in _ALONE else _PLAIN
  return tuple(form.format(_said(name)) for form in forms)


def _said(name: str) -> str:
  """A table is a table: the authors' word for one class."""
  return "table" if name == "diningtable" else name
