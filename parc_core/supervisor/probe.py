"""Run by another interpreter, as a file: whether it can train. Any Python can read it, even one too old to train.

`python probe.py <engine> <device> <folder that holds parc_core> <GPUs>` prints one line of JSON behind a marker:
`python` (version) and `problems`, each a pair of what is wrong and the command or setting that fixes it.
"""

# ruff: noqa: UP031 - Pythons before 3.6 know no f-strings
import json
import os
import sys

MARKER = "parc-tracker-probe:"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OLDEST_PYTHON = (3, 8)
OLDEST_TORCH = (1, 13)


def problems(engine, device, gpus):
    """Pairs of (what is wrong, how to fix it), in the order in which they are to be fixed."""
    python = sys.executable
    if sys.version_info < OLDEST_PYTHON:
        return [
            ("it is Python %d.%d" % sys.version_info[:2], "set trainer_python to a Python of 3.8 or newer")
        ]
    from parc_core.engines.registry import ENGINES  # imports nothing that may be missing here

    if engine in ENGINES and ENGINES[engine].hooks:  # has to be imported before torch
        lacking = package_problems(engine, ENGINES[engine])
        if lacking:
            return lacking
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
        from parc_core.system.extras import pip_arguments

        return [("parc_core: " + error, "%s -m pip install %s" % (python, pip_arguments("{}")))]
    return engine_problems(engine, device, gpus)


def engine_problems(engine, device, gpus=1):
    """What the chosen engine lacks, and whether the devices are there."""
    from parc_core.engines.devices import check_device
    from parc_core.engines.registry import ENGINES, check_engine, resolve_engine
    from parc_core.errors import ConfigError

    engine = resolve_engine(engine, device)
    lacking = package_problems(engine, ENGINES[engine])
    if lacking:
        return lacking
    try:
        check_engine(engine, check_device(device, "it", gpus))
    except ConfigError as error:
        return [(str(error), "")]
    return []


def package_problems(engine, spec):
    """The first of the engine's packages that cannot be imported."""
    for name in spec.packages:
        error = import_error(name)
        if error:
            from parc_core.system.extras import pip_arguments

            fix = "%s -m pip install %s" % (sys.executable, pip_arguments(spec.pip))
            return [("engine %s: %s: %s" % (engine, name, error), fix)]
    return []


def import_error(name):
    """Why the module cannot be imported, in one line; empty where it can."""
    from parc_core.engines.packages import import_package

    try:
        import_package(name)
    except Exception as error:  # noqa: BLE001 - a half-installed package can raise anything
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


if __name__ == "__main__":
    sys.path[0] = sys.argv[3]  # was this file's folder, whose modules would hide others
    found = problems(sys.argv[1], sys.argv[2], int(sys.argv[4]))
    answer = {"python": "%d.%d.%d" % sys.version_info[:3], "problems": found}
    print(MARKER + json.dumps(answer))
