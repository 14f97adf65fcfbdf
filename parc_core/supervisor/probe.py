"""Run by another interpreter, as a file: whether it can train. Any Python can read it, even one too old to train.

`python probe.py <engine> <device>` prints one line of JSON behind a marker: `python` (version) and
`problems`, each a pair of what is wrong and the command or setting that mends it.
"""

# ruff: noqa: UP031 - Pythons before 3.6 know no f-strings
import importlib
import json
import os
import sys

MARKER = "parc-tracker-probe:"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OLDEST_PYTHON = (3, 8)
OLDEST_TORCH = (1, 13)


def problems(engine, device):
    """Pairs of (what is wrong, what mends it), in the order in which they are to be mended."""
    python = sys.executable
    if sys.version_info < OLDEST_PYTHON:
        return [
            ("it is Python %d.%d" % sys.version_info[:2], "set trainer_python to a Python of 3.8 or newer")
        ]
    if engine == "isaac_gym":  # has to be imported before torch
        error = import_error("isaacgym.gymapi")
        if error:
            return [("isaacgym: " + error, "%s -m pip install -e /path/to/isaacgym/python" % python)]
    found = [(name, import_error(name)) for name in ("torch", "numpy", "yaml")]
    wrong = [pair for pair in found if pair[1]]
    if wrong:
        names = [{"yaml": "pyyaml", "torch": "'torch>=1.13'"}.get(name, name) for name, _ in wrong]
        text = "; ".join("%s: %s" % pair for pair in wrong)
        return [(text, "%s -m pip install %s" % (python, " ".join(names)))]
    import torch

    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < OLDEST_TORCH:
        return [("torch is %s" % torch.__version__, "%s -m pip install 'torch>=1.13'" % python)]
    error = import_error("parc_core.train")
    if error:
        return [("parc_core: " + error, "%s -m pip install -e %s" % (python, ROOT))]
    return engine_problems(engine, device)


def engine_problems(engine, device):
    """What the chosen engine lacks, and whether the device is there."""
    import torch

    from parc_core.engines.devices import check_device
    from parc_core.engines.registry import check_engine, resolve_engine
    from parc_core.errors import ConfigError

    engine = resolve_engine(engine, torch.device(device))
    packages = {"mujoco": ["mujoco"], "mujoco_warp": ["mujoco", "warp", "mujoco_warp"]}.get(engine, [])
    for name in packages:
        error = import_error(name)
        if error:
            extra = "gpu" if engine == "mujoco_warp" else "mujoco"
            mend = "%s -m pip install -e '%s[%s]'" % (sys.executable, ROOT, extra)
            return [("engine %s: %s: %s" % (engine, name, error), mend)]
    try:
        check_device(device, "it")
        check_engine(engine, torch.device(device))
    except ConfigError as error:
        return [(str(error), "")]
    return []


def import_error(name):
    """Why the module cannot be imported, in one line; empty where it can."""
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a half-installed package can raise anything
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


if __name__ == "__main__":
    sys.path[0] = ROOT  # was this file's folder, whose modules would hide others
    answer = {"python": "%d.%d.%d" % sys.version_info[:3], "problems": problems(*sys.argv[1:3])}
    print(MARKER + json.dumps(answer))
