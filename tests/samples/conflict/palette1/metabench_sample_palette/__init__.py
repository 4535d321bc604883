"""Version 1 of a dependency: it blends and cannot mix."""


def blend(colours):
    return colours
