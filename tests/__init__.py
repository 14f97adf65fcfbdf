"""The tests. Isaac Gym, where it is installed, has to be imported before any test module imports torch."""

from importlib.util import find_spec

if find_spec("isaacgym") is not None:
    from isaacgym import gymapi  # noqa: F401
