"""The parts of a control step: watched where they are calls of their own, else measured in isolation."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from benchmarks.timing import Stopwatch
from benchmarks.training_scene import Training
from parc_core.engines.engine import GraphEngine

BLOCK = 10  # launches that are timed together, of parts that may run again on the same state


def watch_parts(env: Any, watch: Stopwatch) -> None:
    """Watches the parts of an environment that runs them one by one in PyTorch; does nothing for a fused one."""
    if isinstance(env.engine, GraphEngine):
        return
    calls = (
        (env.engine, "step", "physics"),
        (env, "_current_reference", "reference"),
        (env, "observe", "observation"),
        (env, "_reward", "reward"),
    )
    for owner, method, name in calls:
        watch.watch(owner, method, name)


def step_parts(training: Training, repeats: int) -> Dict[str, float]:
    """Milliseconds of each part of a fused environment's control step, measured one at a time.

    Each part is recorded as a graph of its own and replayed on states that the policy reaches; after each
    measurement the environment is put back, so that the next part sees the same state. A part's time is
    therefore without the gaps, and without the overlap, that it may have inside the whole graph.

    Returns:
        Means over `repeats` states; empty for an environment whose parts are watched in the loop.
    """
    env: Any = training.env
    agent = training.learner.agent
    if not isinstance(env.engine, GraphEngine):
        return {}
    pieces = fused_pieces(env)
    replays = {name: env.engine.capture(launch) for name, (launch, _) in pieces.items()}
    clock, milliseconds = Stopwatch(env.device), dict.fromkeys(pieces, 0.0)
    for _ in range(repeats):
        obs = training.start_anew()
        for _ in range(BLOCK):
            env.step(agent.act_mode(obs))
            obs = env.reset_done()
        saved = env.state_dict()
        for name, (_, count) in pieces.items():
            clock.timed(_times(replays[name], count), name)()
            milliseconds[name] += 1000.0 * clock.take()[name] / count / repeats
            env.load_state_dict(saved)
    training.start_anew()
    return milliseconds


def _times(launch: Callable[[], None], count: int) -> Callable[[], None]:
    def block() -> None:
        for _ in range(count):
            launch()

    return block


def fused_pieces(env: Any) -> Dict[str, Tuple[Callable[[], None], int]]:
    """Launches of each part, and how many of them one measurement takes: physics moves the state, so one."""
    import mujoco_warp

    engine = env.engine

    def physics() -> None:
        for _ in range(engine._substeps):
            engine._target_limit.launch()
            mujoco_warp.step(engine._warp_model, engine.data)

    def contacts_and_state() -> None:
        engine._contact_forces.launch()
        engine._launch_recovery()
        engine.launch_read()

    return {
        "reference and targets": (env._lookup.launch, BLOCK),
        "window": (engine._launch_window, BLOCK),
        "physics": (physics, 1),
        "contacts and state": (contacts_and_state, BLOCK),
        "observation": (lambda: env._observation.launch(env._everyone), BLOCK),
        "reward and done": (env._scoring.launch, BLOCK),
        "statistics": (env._stats_kernel.launch, BLOCK),
    }


def count_launches(env: Any) -> Dict[str, int]:
    """Kernel launches of each part of a fused control step; empty for other environments.

    Counted without a graph, where the rounds of the solver count as often as they run.
    """
    if not isinstance(env.engine, GraphEngine):
        return {}
    import warp as wp

    from parc_core.engines.mujoco_warp.graph import on_torch_stream

    counts: Dict[str, int] = {}
    saved, originals = env.state_dict(), {name: getattr(wp, name) for name in ("launch", "launch_tiled")}
    try:
        for part, (launch, _) in fused_pieces(env).items():
            calls: List[None] = []
            for name, original in originals.items():
                setattr(wp, name, _counting(original, calls))
            with on_torch_stream(env.engine.wp_device, env.device):
                launch()
            counts[part] = len(calls)
    finally:
        for name, original in originals.items():
            setattr(wp, name, original)
        env.load_state_dict(saved)
    return counts


def _counting(original: Callable[..., Any], calls: List[None]) -> Callable[..., Any]:
    def launch(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        return original(*args, **kwargs)

    return launch


def physics_profile(engine: Any) -> List[str]:
    """MuJoCo Warp's own trace of one control step, launched kernel by kernel: lines with ms per function.

    Without the graph the host may be slower than the device: what counts are the shares.
    """
    if engine.device.type != "cuda" or not hasattr(engine, "launch_step"):
        return ["no trace of the physics: that needs engine mujoco_warp on a GPU"]
    import warp as wp
    from mujoco_warp._src.warp_util import EventTracer

    from parc_core.engines.mujoco_warp.graph import on_torch_stream

    with on_torch_stream(engine.wp_device, engine.device):
        engine.launch_step()
    with on_torch_stream(engine.wp_device, engine.device), EventTracer() as tracer:
        engine.launch_step()
        wp.synchronize_device(engine.wp_device)
        return _trace_lines(tracer.trace(), 0)


def _trace_lines(trace: Dict[str, Any], depth: int) -> List[str]:
    """Nested {function: (times of its calls in ms, the same inside it)}, the substeps of a step added up."""
    lines = []
    for name, (times, inner) in trace.items():
        lines += [f"{'  ' * depth}{name}: {sum(times):.3f} ms", *_trace_lines(inner, depth + 1)]
    return lines
