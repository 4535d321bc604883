"""Version 2 of a dependency: it mixes and can no longer blend."""


def mix(colours):
    return colours
