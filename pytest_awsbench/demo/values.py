"""Values of the demo's tasks: names of two words, numbers, days."""

import random


WORDS = tuple(
    """
    amber falcon copper meadow river stone cedar maple ocean harbor silver crimson
    violet indigo orchid lotus willow birch aspen coral reef delta canyon mesa
    tundra prairie glacier summit ridge valley forest grove thicket marsh lagoon
    fjord island dune oasis comet meteor nebula quasar pulsar photon proton
    neutron lepton boson cobalt nickel zinc iron bronze steel marble granite
    basalt quartz topaz ruby opal jade pearl onyx agate garnet beryl flint slate
    chalk clay loam pebble boulder anchor rudder mast hull keel beacon lantern
    torch candle ember flame cinder ash smoke mist fog haze dew frost hail sleet
    breeze gale squall zephyr otter badger beaver marten lynx puma jaguar tiger
    lion panda koala lemur gibbon heron egret stork crane swan goose raven crow
    magpie finch wren robin thrush starling swift swallow martin kestrel osprey
    eagle hawk condor salmon trout perch pike cod herring squid whale dolphin
    walrus seal penguin tulip daisy poppy iris lily rose fern moss ivy clover
    barley wheat rye oat maize millet olive almond walnut hazel cherry plum
    apricot peach mango papaya banana lemon lime cocoa pepper ginger saffron cumin
    basil thyme sage mint
    """.split()
)
"""Each is one token of the demo's tokenizer, after a space and after a dash."""

DAYS = ("1", "3", "5", "7", "14", "30", "60", "90")
NAMES = ("a", "b", "c")


def draw(rng: random.Random) -> dict[str, str]:
    """Return a value for every gap; no word stands in two names of one task."""
    words = rng.sample(WORDS, 2 * len(NAMES))
    names = {gap: "-".join(words[2 * i : 2 * i + 2]) for i, gap in enumerate(NAMES)}
    return {**names, "n": str(rng.randint(2, 99)), "d": rng.choice(DAYS)}
